"""Parameters and multiply-adds against published or hand-made counts."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from tests.models.network_cases import build
from trfjax.models import list_models
from trfjax.models.info import count_multiply_adds, info_table, model_info
from trfjax.models.resize import adaptive_pool, resize_bilinear


def test_resnet18_has_the_published_cost():
    info = model_info("resnet18", (224, 224), num_classes=1000)
    assert info.parameters == 11_689_512
    assert info.multiply_adds == 1_814_073_344
    assert info.taps["layer4"].channels == 512 and info.taps["layer4"].stride == 32


def test_lenet_by_hand():
    info = model_info("lenet", (28, 28), num_classes=10)
    convolutions = 28 * 28 * 25 * 6 + 10 * 10 * 25 * 6 * 16
    assert info.multiply_adds == convolutions + 400 * 120 + 120 * 84 + 84 * 10


def test_a_network_of_ones_own_width():
    info = model_info(build("unet"), (32, 48), name="small")
    assert info.name == "small" and info.output_size == (32, 48)
    assert list(info.taps) == ["centre", "dec4", "dec3", "dec2", "dec1"]
    sizes = (p.size for p in jax.tree.leaves(build("unet").params))
    assert info.parameters == sum(sizes)


def test_what_counts():
    x, w = jnp.ones((1, 8, 8, 4)), jnp.ones((2, 2, 6, 4))

    def transposed(x, w):
        return lax.conv_transpose(x, w, (2, 2), "VALID", transpose_kernel=True)

    assert count_multiply_adds(transposed, x, w) == 64 * 4 * 4 * 6
    repeated = lambda v: lax.scan(lambda c, _: (c @ c, None), v, length=3)[0]  # noqa: E731
    assert count_multiply_adds(repeated, jnp.ones((5, 5))) == 3 * 125
    assert count_multiply_adds(jax.jit(lambda v: v @ v), jnp.ones((5, 5))) == 125
    grown = lambda x: resize_bilinear(x, (16, 16), align_corners=True)  # noqa: E731
    assert count_multiply_adds(grown, x) == 0
    assert count_multiply_adds(lambda x: adaptive_pool(x, 3), x) == 0


@pytest.mark.parametrize("name", ["bisenet", "unet"])
def test_cost_grows_with_the_area(name):
    small = model_info(name, (64, 64)).multiply_adds
    large = model_info(name, (128, 128)).multiply_adds
    assert large == pytest.approx(4 * small, rel=0.01)


def test_the_table_has_every_network():
    rows = info_table((64, 64), num_classes=12)
    assert [row.name for row in rows] == list_models()
    assert all(row.parameters and row.multiply_adds and row.taps for row in rows)

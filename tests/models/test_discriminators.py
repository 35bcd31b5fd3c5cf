import jax
import jax.numpy as jnp
import numpy as np
import pytest

from trfjax.models.discriminators import create_discriminator, patch_multiply_adds
from trfjax.models.info import model_info
from trfjax.state import apply


@pytest.mark.parametrize(
    ("name", "parameters", "multiply_adds"),
    [("fcd", 2_781_121, 15_439_233_024), ("fcd_light", 189_424, 1_067_712_512)],
)
def test_the_counts_of_the_report(name, parameters, multiply_adds):
    info = model_info(create_discriminator(name, 19), (512, 1024))
    assert info.parameters == parameters
    assert info.multiply_adds == multiply_adds
    light = name == "fcd_light"
    assert patch_multiply_adds(19, (512, 1024), light=light) == multiply_adds
    assert info.output_size == (16, 32)


@pytest.mark.parametrize("light", [False, True])
def test_a_convolution_by_hand(light, x64, rng):
    """One layer of stride 2 with a border of one zero on each side."""
    model = create_discriminator(
        "fcd_light" if light else "fcd", 3, num_layers=1, key=jax.random.key(1)
    )
    model = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), model)
    x = rng.normal(size=(1, 6, 4, 3))
    padded = np.pad(x[0], ((1, 1), (1, 1), (0, 0)))
    layer = model.params["layers"][0]
    if light:
        depth, point = (np.asarray(part["kernel"]) for part in layer["layers"].values())
        kernel = depth[:, :, 0, :] * point[0, 0, :, 0]
    else:
        kernel = np.asarray(layer["kernel"])[..., 0]
    expected = np.zeros((3, 2))
    for i in range(3):
        for j in range(2):
            patch = padded[2 * i : 2 * i + 4, 2 * j : 2 * j + 4]
            expected[i, j] = (patch * kernel).sum()
    if not light:
        expected += np.asarray(layer["bias"])[0]
    found = apply(model, jnp.asarray(x)).logits[0, :, :, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


def test_pooled_judges_the_mean_of_the_features(rng):
    x = jnp.asarray(rng.normal(size=(2, 3, 4, 5)), jnp.float32)
    model = create_discriminator("pooled", 5, hidden=8)
    each = create_discriminator("pixels", 5, hidden=8)
    mean = x.mean(axis=(1, 2), keepdims=True)
    assert apply(model, x).logits.shape == (2, 1, 1, 1)
    np.testing.assert_allclose(
        apply(model, x).logits, apply(each, mean).logits, rtol=1e-5, atol=1e-6
    )


def test_small_images_are_refused():
    model = create_discriminator("fcd", 2)
    with pytest.raises(ValueError, match=r"images: 31 x 64 is too small.*32 pixels"):
        apply(model, jnp.zeros((1, 31, 64, 2)))
    with pytest.raises(ValueError, match="unknown discriminator 'fce'; available: fcd"):
        create_discriminator("fce", 2)

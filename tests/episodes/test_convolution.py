import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax

from trfjax.episodes import convolution
from trfjax.episodes.convolution import NHWC, convolve, with_loop_convolutions
from trfjax.models import create_model
from trfjax.state import apply, apply_train, thaw

CASES = {
    "few channels": ((2, 9, 8, 1), (5, 5, 1, 3), ((2, 2), (2, 2))),
    "no padding": ((2, 9, 8, 3), (3, 2, 3, 4), ((0, 0), (0, 0))),
    "uneven": ((2, 6, 7, 4), (3, 3, 4, 2), ((1, 0), (0, 2))),
}


@pytest.mark.parametrize("few", [0, 10_000])
@pytest.mark.parametrize("case", CASES)
def test_values_and_derivatives_are_those_of_lax(x64, rng, monkeypatch, case, few):
    monkeypatch.setattr(convolution, "FEW", few)
    shape, kernel, pads = CASES[case]
    x, k = (jnp.asarray(rng.normal(size=s)) for s in (shape, kernel))
    expected = lax.conv_general_dilated(x, k, (1, 1), pads, dimension_numbers=NHWC)
    towards = jnp.asarray(rng.normal(size=expected.shape))

    def by(function):
        def loss(x, k):
            found = function(x, k, (1, 1), pads, dimension_numbers=NHWC)
            return jnp.sum(towards * found), found

        return jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))(x, k)

    (_, found), slopes = by(convolve)
    _, wanted = by(lax.conv_general_dilated)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    for one, other in zip(slopes, wanted, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-11)


@pytest.mark.parametrize(
    "options",
    [{"rhs_dilation": (2, 2)}, {"window_strides": (2, 1)}, {"feature_group_count": 2}],
)
def test_what_is_not_plain_goes_to_lax(rng, options):
    options = {"window_strides": (1, 1)} | options
    strides = options.pop("window_strides")
    groups = options.get("feature_group_count", 1)
    x = jnp.asarray(rng.normal(size=(2, 9, 9, 4)), jnp.float32)
    k = jnp.asarray(rng.normal(size=(3, 3, 4 // groups, 6)), jnp.float32)
    pads = ((1, 1), (1, 1))
    found = convolve(x, k, strides, pads, dimension_numbers=NHWC, **options)
    expected = lax.conv_general_dilated(
        x, k, strides, pads, dimension_numbers=NHWC, **options
    )
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", ["lenet", "conv4"])
def test_a_network_gives_what_it_gave(name, rng):
    model = create_model(name, num_classes=3, width=4)
    other = with_loop_convolutions(model)
    assert other.params is model.params
    parts = [part for _, part in nnx.iter_graph(thaw(other))]
    used = {p.conv_general_dilated for p in parts if isinstance(p, nnx.Conv)}
    assert used == {convolve}
    x = jnp.asarray(rng.random((3, 28, 28, 1)), jnp.float32)
    np.testing.assert_allclose(
        apply(other, x).logits, apply(model, x).logits, atol=1e-4
    )
    key = jax.random.key(0)
    for one, two in zip(
        *(jax.tree.leaves(apply_train(m, x, key=key)) for m in (model, other)),
        strict=True,
    ):
        np.testing.assert_allclose(two, one, atol=1e-4)

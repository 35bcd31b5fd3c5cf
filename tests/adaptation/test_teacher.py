import jax
import jax.numpy as jnp
import numpy as np
import pytest

from trfjax.adaptation.teacher import cosine_rate, ema, warm_rate


def test_the_average_by_hand(x64, rng):
    old, new = rng.normal(size=(2, 4))
    found = ema({"w": jnp.asarray(old)}, {"w": jnp.asarray(new)}, 0.9)["w"]
    np.testing.assert_allclose(found, 0.9 * old + 0.1 * new, rtol=1e-12)
    same = ema(jnp.asarray(old), jnp.asarray(old), 0.25)  # a power of two: exact
    np.testing.assert_array_equal(same, old)
    counts = ema({"n": jnp.array(3)}, {"n": jnp.array(5)}, 0.9)
    assert counts["n"] == 5 and counts["n"].dtype == jnp.array(5).dtype


@pytest.mark.parametrize(
    ("step", "expected"), [(0, 0), (1, 0.5), (99, 0.99), (1999, 0.999)]
)
def test_the_warm_rate(step, expected):
    np.testing.assert_allclose(warm_rate(step, rate=0.999), expected, rtol=1e-6)


@pytest.mark.parametrize(("step", "expected"), [(0, 0.996), (50, 0.998), (100, 1.0)])
def test_the_rate_of_byol(step, expected):
    found = jax.jit(lambda t: cosine_rate(t, rate=0.996, steps=100))(step)
    np.testing.assert_allclose(found, expected, rtol=1e-6)

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from trfjax.adaptation.reversal import check_gamma, ramp, reverse

STRENGTH = 0.3


def features(w, x):
    return jnp.tanh(x @ w)


def judged(w, v, x, strength):
    return jax.nn.softplus(reverse(features(w, x), strength) @ v).mean()


def test_values_pass_and_gradients_turn(x64, rng):
    w, v = jnp.asarray(rng.normal(size=(3, 2))), jnp.asarray(rng.normal(size=2))
    x = jnp.asarray(rng.normal(size=(5, 3)))

    def plain(w, v):
        return jax.nn.softplus(features(w, x) @ v).mean()

    assert judged(w, v, x, STRENGTH) == plain(w, v)  # bit for bit
    found = jax.grad(judged, argnums=(0, 1))(w, v, x, STRENGTH)
    expected = jax.grad(plain, argnums=(0, 1))(w, v)
    np.testing.assert_allclose(found[0], -STRENGTH * expected[0], rtol=1e-12)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-12)
    assert (jax.grad(judged)(w, v, x, 0.0) == 0).all()


def test_trees_jit_vmap_and_twice(x64):
    tree = {"a": jnp.arange(3.0), "b": jnp.ones((2, 2))}

    def total(tree, strength):
        out = reverse(tree, strength)
        return (out["a"] ** 2).sum() + (out["b"] ** 3).sum()

    for grad in (jax.grad(total), jax.jit(jax.grad(total))):
        found = grad(tree, 0.5)
        np.testing.assert_allclose(found["a"], -0.5 * 2 * tree["a"], rtol=1e-12)
        np.testing.assert_allclose(found["b"], -0.5 * 3 * tree["b"], rtol=1e-12)
    strengths = jnp.array([0.0, 1.0, 2.0])
    each = jax.vmap(jax.grad(lambda x, s: reverse(x, s) ** 2), (0, 0))
    np.testing.assert_allclose(each(jnp.ones(3), strengths), -2 * strengths)
    again = jax.grad(lambda x: reverse(reverse(x, 1.0), 1.0) ** 2)(3.0)
    assert again == 6.0
    assert jax.grad(lambda s: reverse(2.0, s))(1.0) == 0  # the strength learns nothing


@pytest.mark.parametrize(
    ("progress", "expected"),
    [(0, 0), (0.1, 0.4621), (0.25, 0.8483), (0.5, 0.9866), (1, 0.9999)],
)
def test_the_published_ramp(progress, expected):
    by_hand = 2 / (1 + np.exp(-10 * progress)) - 1
    np.testing.assert_allclose(ramp(progress), by_hand, rtol=1e-6)
    assert abs(by_hand - expected) < 5e-5


def test_a_ramp_that_does_not_rise_is_refused():
    with pytest.raises(ValueError, match=r"gamma: 0\.0 must be above 0"):
        check_gamma(0.0)

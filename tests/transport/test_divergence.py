import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.transport import reference
from trfjax.transport.divergence import sinkhorn_divergence
from trfjax.transport.problem import Settings

TIGHT = Settings(tolerance=1e-12, joint_tolerance=1e-12, block_rows=16)


def clouds(seed, n=40, m=30, dtype: type = np.float64):
    x, _, y, _ = reference.labelled_clouds(seed, n, m, d=3, spread=0.5)
    return x.astype(dtype), y.astype(dtype)


def by_hand(x, y, epsilon):
    def cost(x, y):
        a, b = np.full(len(x), 1 / len(x)), np.full(len(y), 1 / len(y))
        plan, cost = reference.entropic_plan(x, y, a, b, epsilon)
        entropy = np.sum(plan * np.log(np.maximum(plan, 1e-300) / np.outer(a, b)))
        return np.sum(plan * cost) + epsilon * entropy

    return cost(x, y) - cost(x, x) / 2 - cost(y, y) / 2


@pytest.mark.parametrize("epsilon", [0.5, 30.0])
def test_it_equals_the_definition(x64, epsilon):
    x, y = clouds(0)
    found = sinkhorn_divergence(x + 3, y + 3, epsilon=epsilon, settings=TIGHT)
    np.testing.assert_allclose(found, by_hand(x, y, epsilon), rtol=1e-9)
    x, y = clouds(0, dtype=np.float32)
    with jax.enable_x64(False):
        single = sinkhorn_divergence(x, y, epsilon=epsilon)
    # An error of 1e-4 in the marginals enters squared; roundoff of the sums remains.
    np.testing.assert_allclose(single, found, rtol=1e-4)


def test_zero_on_identical_clouds_and_positive_elsewhere():
    for seed in range(5):
        x, y = clouds(seed, dtype=np.float32)
        assert sinkhorn_divergence(x, x, epsilon=0.2) < 1e-5
        assert sinkhorn_divergence(x, x[::-1], epsilon=0.2) < 1e-5
        assert sinkhorn_divergence(x, y, epsilon=0.2) > 0.01
        assert sinkhorn_divergence(x, x + 0.1, epsilon=0.2) > 0.01


def test_symmetric(x64):
    x, y = clouds(1)
    one = sinkhorn_divergence(x, y, epsilon=0.3, settings=TIGHT)
    other = sinkhorn_divergence(y, x, epsilon=0.3, settings=TIGHT)
    np.testing.assert_allclose(one, other, rtol=1e-10)


def test_a_shift_costs_its_square(x64):
    x, _ = clouds(2)
    shift = np.array([1.0, -2.0, 0.5])
    found = sinkhorn_divergence(x, x + shift, epsilon=0.7, settings=TIGHT)
    np.testing.assert_allclose(found, shift @ shift, rtol=1e-9)


@pytest.mark.parametrize(
    "field", ["source", "target", "source_weights", "target_weights", "epsilon"]
)
def test_every_derivative_equals_finite_differences(x64, rng, field):
    x, y = clouds(3)
    values = {
        "source": x, "target": y, "epsilon": jnp.asarray(0.2),
        "source_weights": rng.random(40) + 0.5,
        "target_weights": rng.random(30) + 0.5,
    }  # fmt: skip

    def value(change):
        moved = {**values, field: values[field] + change}
        return sinkhorn_divergence(
            moved.pop("source"), moved.pop("target"), settings=TIGHT, **moved
        )

    direction = jnp.asarray(rng.normal(size=values[field].shape))
    slope = jnp.sum(jax.grad(value)(jnp.zeros(direction.shape)) * direction)
    step = 1e-5
    finite = (value(step * direction) - value(-step * direction)) / (2 * step)
    np.testing.assert_allclose(slope, finite, rtol=1e-6, atol=1e-9)


def test_padding_changes_nothing(x64):
    x, y = clouds(4)
    wide = np.concatenate([x, 1e3 * np.ones((7, 3))])
    weights = np.r_[np.ones(40), np.zeros(7)]
    options = {"epsilon": 0.3, "settings": TIGHT}

    def value(x, weights):
        return sinkhorn_divergence(x, y, source_weights=weights, **options)

    plain = sinkhorn_divergence(x, y, **options)
    np.testing.assert_allclose(value(wide, weights), plain, rtol=1e-10)
    slopes = jax.grad(value, argnums=(0, 1))(jnp.asarray(wide), jnp.asarray(weights))
    assert all(np.isfinite(slope).all() for slope in slopes)
    np.testing.assert_array_equal(slopes[0][40:], 0)


def test_jit_vmap_and_grad_compose():
    pairs = [clouds(seed, dtype=np.float32) for seed in range(2)]
    x, y = (jnp.stack(part) for part in zip(*pairs, strict=True))

    def value(x, y):
        return sinkhorn_divergence(x, y, epsilon=0.5)

    together = jax.jit(jax.vmap(jax.value_and_grad(value)))(x, y)
    for i in range(2):
        alone, slope = jax.value_and_grad(value)(x[i], y[i])
        np.testing.assert_allclose(together[0][i], alone, rtol=1e-4)
        np.testing.assert_allclose(together[1][i], slope, atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        ((np.ones((2, 2)), np.ones((2, 3))), {}, r"got \(2, 2\) and \(2, 3\)"),
        ((np.ones((2, 2)),) * 2, {"epsilon": 0.0}, "epsilon: 0.0"),
        ((np.ones((2, 2)),) * 2, {"source_weights": [1.0]}, "does not fit 2 points"),
        ((np.ones((2, 2)),) * 2, {"target_weights": [1.0, -1]}, "target_weights: neg"),
    ],
)
def test_errors(arguments, settings, message):
    with pytest.raises(ValueError, match=message):
        sinkhorn_divergence(*arguments, **{"epsilon": 1.0, **settings})

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.transport import reference
from trfjax.transport.divergence import regularised_cost, sinkhorn_divergence
from trfjax.transport.exact import exact_joint
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


def divergence(x, y, epsilon, **weights):
    return float(
        sinkhorn_divergence(
            x, y, epsilon=jnp.asarray(epsilon), settings=TIGHT, **weights
        )
    )


def test_single_points_are_as_far_apart_as_they_are(x64):
    x, y = np.array([[1.0, 2.0]]), np.array([[4.0, -2.0]])
    for epsilon in (0.1, 1.0, 100.0):
        assert divergence(x, y, epsilon) == pytest.approx(25, rel=1e-12)


def test_a_large_epsilon_leaves_the_squared_distance_of_the_means(x64):
    """OT tends to the mean cost, whose scatter within both clouds is taken off."""
    x, y = clouds(0)
    means = np.sum((x.mean(axis=0) - y.mean(axis=0)) ** 2)
    assert divergence(x, y, 1e7) == pytest.approx(means, rel=1e-5)


def test_a_small_epsilon_leaves_the_exact_distance(x64):
    """The divergence tends to W2^2; here of 12 points, matched by an assignment."""
    x, y = (cloud[:12] for cloud in clouds(1))
    one = np.ones((12, 1))
    exact = exact_joint(x, one, y, one)[2]
    gaps = [abs(divergence(x, y, epsilon) - exact) for epsilon in (1.0, 0.1, 0.01)]
    assert gaps[0] > gaps[1] > gaps[2] and gaps[2] < 0.02 * exact


def test_moving_turning_and_scaling(x64):
    x, y = clouds(2)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    found = divergence(x, y, 0.4)
    assert divergence(x @ turn - 5, y @ turn - 5, 0.4) == pytest.approx(found, rel=1e-9)
    assert divergence(3 * x, 3 * y, 3.6) == pytest.approx(9 * found, rel=1e-9)
    # Moving one cloud adds the squared distance of the means, less that before.
    shift = np.array([0.5, -1.0, 2.0])
    gap = x.mean(axis=0) - y.mean(axis=0)
    moved = found + np.sum((gap + shift) ** 2) - np.sum(gap**2)
    assert divergence(x + shift, y, 0.4) == pytest.approx(moved, rel=1e-9)


def test_weights_are_multiplicities(x64):
    x, y = clouds(3)
    counts = np.arange(30) % 3
    again = np.repeat(y, counts, axis=0)
    weighted = divergence(x, y, 0.4, target_weights=counts)
    assert weighted == pytest.approx(divergence(x, again, 0.4), rel=1e-9)
    other = divergence(y, x, 0.4, source_weights=7.0 * counts)
    assert other == pytest.approx(weighted, rel=1e-9)


def test_the_regularised_cost_is_its_minimum(x64):
    """Against the value of other plans with the same marginals."""
    x, y = clouds(4)
    a, b = np.full(40, 1 / 40), np.full(30, 1 / 30)
    plan, cost = reference.entropic_plan(x, y, a, b, 0.4)

    def value(plan):
        kept = plan > 0
        ratio = plan[kept] / np.outer(a, b)[kept]
        return np.sum(plan * cost) + 0.4 * np.sum(plan[kept] * np.log(ratio))

    parts = (jnp.asarray(v) for v in (x, y, a, b, 0.4))
    found = float(regularised_cost(*parts, TIGHT))
    assert found == pytest.approx(value(plan), rel=1e-10)
    independent = np.outer(a, b)
    for share in (0.01, 0.5, 1.0):
        assert value((1 - share) * plan + share * independent) > found


def test_its_derivative_by_a_cloud_is_the_pull_of_the_plan(x64):
    """Envelope theorem: 2 (a_i x_i - sum_j P_ij y_j)."""
    x, y = clouds(5)
    a, b = np.full(40, 1 / 40), np.full(30, 1 / 30)
    plan, _ = reference.entropic_plan(x, y, a, b, 0.4)
    rest = tuple(jnp.asarray(v) for v in (y, a, b, 0.4))
    slope = jax.grad(lambda x: regularised_cost(x, *rest, TIGHT))(jnp.asarray(x))
    expected = 2 * (a[:, None] * x - plan @ y)
    np.testing.assert_allclose(slope, expected, atol=1e-10)


ONES = np.ones((2, 2))


@pytest.mark.parametrize(
    ("source", "target", "settings", "message"),
    [
        (np.ones(2), ONES, {}, r"source, target: expected .* got \(2,\) and"),
        (ONES, np.ones((2, 2, 1)), {}, r"source, target: expected .*\(2, 2, 1\)"),
        ([[np.nan, 1]], ONES, {}, r"source: 1 values are NaN .*\(0, 0\). Remove"),
        (ONES, [[1, np.inf]], {}, r"target: 1 values are NaN or infinite"),
        (ONES, ONES, {"epsilon": -1.0}, "epsilon: -1.0 is not positive"),
        (ONES, ONES, {"epsilon": float("nan")}, "epsilon: nan is not finite"),
        (ONES, ONES, {"source_weights": [0, 0]}, "source_weights: .*nothing above 0"),
        (ONES, ONES, {"source_weights": [-1, 2]}, "source_weights: negative values"),
        (ONES, ONES, {"target_weights": np.ones(3)}, r"target_weights: shape \(3,\) d"),
        (ONES, ONES, {"target_weights": [np.nan, 1]}, "target_weights: 1 values are"),
        (ONES, np.ones((2, 3)), {}, r"source, target: .* got \(2, 2\) and \(2, 3\)"),
        (ONES, ONES, {"epsilon": 0.0}, "epsilon: 0.0 is not positive"),
        (ONES, ONES, {"target_weights": ONES}, r"target_weights: shape \(2, 2\)"),
    ],
)
def test_clouds_that_cannot_be_compared_are_refused(source, target, settings, message):
    with pytest.raises(ValueError, match=message):
        sinkhorn_divergence(source, target, **{"epsilon": 1.0, **settings})


def test_words_are_no_points():
    with pytest.raises(TypeError, match=r"source: dtype .* is not a real number type"):
        sinkhorn_divergence([["a", "b"]], ONES, epsilon=1.0)

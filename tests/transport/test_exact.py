"""The unregularised plan, against all permutations and what theory says of it."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transport.test_joint import problem_of
from trfjax.transport.exact import exact_joint
from trfjax.transport.joint import couple

few = settings(max_examples=25, deadline=None, derandomize=True, database=None)
seeds = st.integers(0, 2**32 - 1)


def made_up(seed, n=6, d=2, classes=(3, 2)):
    """Two clouds of equal size and their labels as one-hot rows."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, d)), rng.normal(size=(n, d)) + 0.5
    labels = [np.eye(c)[rng.integers(c, size=n)] for c in classes]
    return x, labels[0], y, labels[1]


def squared(x, y):
    return ((x[:, None] - y[None]) ** 2).sum(-1)


def best_by_hand(x, ys, y, yt):
    """Try every permutation."""
    cost, n = squared(x, y), len(x)
    best = min(
        itertools.permutations(range(n)), key=lambda p: cost[range(n), list(p)].sum()
    )
    shares = np.zeros((n, ys.shape[1]))
    for i, j in enumerate(best):
        shares[j] += ys[i] / n
    return shares.T @ yt, shares, cost[range(n), list(best)].mean()


@few
@given(seeds)
def test_it_is_the_best_permutation(seed):
    given_ = made_up(seed)
    for found, expected in zip(
        exact_joint(*given_), best_by_hand(*given_), strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=1e-12)


@few
@given(seeds)
def test_on_a_line_the_plan_is_in_order(seed):
    """Monotone rearrangement: sorted points are matched with sorted points."""
    x, ys, y, yt = made_up(seed, n=30, d=1)
    joint, shares, cost = exact_joint(x, ys, y, yt)
    rows, columns = np.argsort(x[:, 0]), np.argsort(y[:, 0])
    assert cost == pytest.approx(np.mean((x[rows] - y[columns]) ** 2), rel=1e-9)
    np.testing.assert_allclose(shares[columns], ys[rows] / 30)
    np.testing.assert_allclose(joint, ys[rows].T @ yt[columns] / 30, atol=1e-15)


@few
@given(seeds)
def test_marginals_and_bounds(seed):
    x, ys, y, yt = made_up(seed, n=12, d=3)
    joint, shares, cost = exact_joint(x, ys, y, yt)
    np.testing.assert_allclose(shares.sum(axis=1), 1 / 12, rtol=1e-12)
    np.testing.assert_allclose(joint.sum(axis=1), ys.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(joint.sum(axis=0), yt.mean(axis=0), atol=1e-12)
    means = np.sum((x.mean(axis=0) - y.mean(axis=0)) ** 2)  # Jensen
    nearest = squared(x, y).min(axis=1).mean()  # what no constraint holds back
    assert max(means, nearest) - 1e-12 <= cost <= squared(x, y).mean()


def test_a_moved_cloud_is_matched_with_itself():
    x, ys, _, _ = made_up(0, n=20)
    shift = np.array([30.0, -40.0])
    order = np.random.default_rng(0).permutation(20)
    joint, shares, cost = exact_joint(x, ys, (x + shift)[order], ys[order])
    assert cost == pytest.approx(2500, rel=1e-12)
    np.testing.assert_allclose(joint, np.diag(ys.mean(axis=0)), atol=1e-15)
    np.testing.assert_allclose(shares, ys[order] / 20)


def test_turning_and_swapping_both_clouds():
    x, ys, y, yt = made_up(1, n=15, d=3)
    joint, _, cost = exact_joint(x, ys, y, yt)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    turned = exact_joint(x @ turn + 7, ys, y @ turn + 7, yt)
    np.testing.assert_allclose(turned[0], joint, atol=1e-12)
    assert turned[2] == pytest.approx(cost, rel=1e-9)
    swapped = exact_joint(y, yt, x, ys)
    np.testing.assert_allclose(swapped[0], joint.T, atol=1e-12)
    assert exact_joint(3 * x, ys, 3 * y, yt)[2] == pytest.approx(9 * cost, rel=1e-9)


def test_far_from_the_origin_nothing_is_lost():
    """Squares of 1e7 have no digit left for gaps of 1e-2, unless clouds are centred."""
    x, ys, y, yt = made_up(2, n=10)
    near, far = (
        exact_joint(0.01 * x + place, ys, 0.01 * y + place, yt) for place in (0, 1e7)
    )
    np.testing.assert_allclose(far[0], near[0], atol=1e-12)
    assert far[2] == pytest.approx(near[2], rel=1e-5)  # of the given numbers


def test_histograms_of_labels():
    x, ys, y, yt = made_up(3)
    mixed = (ys + np.roll(ys, 1, axis=1)) / 2, (yt + np.roll(yt, 1, axis=1)) / 2
    plain = [exact_joint(x, a, y, b)[0] for a in (ys, mixed[0]) for b in (yt, mixed[1])]
    both = exact_joint(x, mixed[0], y, mixed[1])[0]
    np.testing.assert_allclose(both, plain[3])
    np.testing.assert_allclose(plain[2], (plain[0] + np.roll(plain[0], 1, 0)) / 2)
    np.testing.assert_allclose(plain[1], (plain[0] + np.roll(plain[0], 1, 1)) / 2)


def test_entropic_plans_tend_to_it(x64):
    """At an epsilon far below every gap of the costs the joint is the exact one."""
    x, ys, y, yt = made_up(4, n=8)
    joint, _, cost = exact_joint(x, ys, y, yt)
    problem = problem_of(
        x, ys.argmax(1), y, yt.argmax(1), classes=(3, 2), dtype=jnp.float64
    )
    costs = []
    for epsilon in (3.0, 0.3, 0.003):
        found = couple(problem, epsilon=epsilon)
        costs.append(float(found.cost))
    np.testing.assert_allclose(found.joint, joint, atol=1e-3)  # the marginal tolerance
    assert costs == sorted(costs, reverse=True) and costs[-1] >= cost - 1e-3
    assert costs[-1] == pytest.approx(cost, abs=2e-3)


def test_inputs_stay_and_any_precision_is_taken():
    given_ = made_up(5)
    single = [part.astype(np.float32) for part in given_]
    kept = [part.copy() for part in single]
    joint, shares, cost = exact_joint(*single)
    for part, copy in zip(single, kept, strict=True):
        np.testing.assert_array_equal(part, copy)
    assert joint.dtype == shares.dtype == np.float64
    assert cost == pytest.approx(exact_joint(*given_)[2], rel=1e-5)


@pytest.mark.parametrize(("n", "m"), [(3, 2), (2, 3), (1, 4)])
def test_sides_of_different_size_are_refused_with_the_way_out(n, m):
    message = (
        rf"solver='exact'.* got {n} and {m}\. Draw the same number .* entropically"
    )
    with pytest.raises(ValueError, match=message):
        exact_joint(np.ones((n, 2)), np.ones((n, 1)), np.ones((m, 2)), np.ones((m, 1)))

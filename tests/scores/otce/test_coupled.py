"""Drawn problems solved, against plans in NumPy."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.transport import reference
from trfjax.scores.otce.coupled import entropic_draws, exact_draws, mean_cost
from trfjax.transport.problem import Problem, Settings

K, N, M = 2, 24, 20
TIGHT = Settings(tolerance=1e-11, joint_tolerance=1e-11)


def batch(seed=0, m=M, *, weighted=False):
    rng = np.random.default_rng(seed)
    parts = []
    for k in range(K):
        x, ys, y, yt = reference.labelled_clouds(seed + k, N, m, d=3, spread=0.5)
        a, b = (np.full(n, 1 / n) for n in (N, m))
        if weighted:
            a, b = rng.dirichlet(np.ones(N)), rng.dirichlet(np.ones(m))
        parts.append((x, y, a, b, np.eye(4)[ys], np.eye(3)[yt]))
    return Problem(
        *(jnp.asarray(np.stack(p), jnp.float64) for p in zip(*parts, strict=True))
    )


def one_of(problems, k):
    return [
        np.asarray(getattr(problems, f.name)[k]) for f in dataclasses.fields(Problem)
    ]


def mean_cost_by_hand(x, y, a, b):
    return a @ ((x[:, None] - y[None]) ** 2).sum(-1) @ b


@pytest.mark.parametrize("weighted", [False, True])
def test_mean_cost(weighted, x64):
    problems = batch(weighted=weighted)
    found = mean_cost(problems)
    expected = [mean_cost_by_hand(*one_of(problems, k)[:4]) for k in range(K)]
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    surplus = jnp.asarray([0.5, 1.0])
    np.testing.assert_allclose(mean_cost(problems, surplus), found - surplus)


def test_mean_cost_of_one_place_is_no_zero_to_divide_by(x64):
    problems = batch()
    flat = dataclasses.replace(
        problems, source=0 * problems.source, target=0 * problems.target
    )
    found = np.asarray(mean_cost(flat))
    assert (found > 0).all() and (found < 1e-100).all()


ROWS = jnp.zeros((K, M), jnp.int32)


@pytest.mark.parametrize("relative", [False, True])
def test_terms_are_those_of_the_entropic_plan(relative, x64):
    problems = batch(1, weighted=True)
    draws, used = entropic_draws(
        problems, ROWS, None, jnp.asarray(0.3), relative=relative, settings=TIGHT
    )
    costs = np.asarray(mean_cost(problems))
    assert float(used) == pytest.approx(0.3 * costs.mean() if relative else 0.3)
    for k in range(K):
        x, y, a, b, s, t = one_of(problems, k)
        epsilon = 0.3 * costs[k] if relative else 0.3
        plan, cost = reference.entropic_plan(x, y, a, b, epsilon)
        joint = s.T @ plan @ t
        np.testing.assert_allclose(draws.label_joint[k], joint, atol=1e-9)
        entropy = reference.conditional_entropy(joint)
        assert float(draws.task_difference[k]) == pytest.approx(entropy, abs=1e-8)
        away = (plan * cost).sum()
        assert float(draws.domain_difference[k]) == pytest.approx(away, rel=1e-8)
        np.testing.assert_allclose(draws.target_shares[k], plan.T @ s, atol=1e-9)
    assert draws.converged.all() and (draws.marginal_error <= 1e-11).all()


def test_a_surplus_is_taken_off_the_cost_alone(x64):
    problems, surplus = batch(2), jnp.asarray([0.1, 0.2])
    plain, less = (
        entropic_draws(
            problems, ROWS, off, jnp.asarray(0.3), relative=False, settings=TIGHT
        )[0]
        for off in (None, surplus)
    )
    np.testing.assert_allclose(
        less.domain_difference, plain.domain_difference - surplus, rtol=1e-12
    )
    np.testing.assert_array_equal(less.label_joint, plain.label_joint)


def test_missing_mass_is_divided_out(x64):
    """At a loose tolerance columns lack mass; the joint is one nevertheless."""
    loose = Settings(tolerance=0.2, joint_tolerance=0.2)
    draws, _ = entropic_draws(
        batch(3), ROWS, None, jnp.asarray(0.05), relative=False, settings=loose
    )
    np.testing.assert_allclose(np.asarray(draws.label_joint).sum((1, 2)), 1, rtol=1e-12)


def test_terms_of_the_exact_plan(x64):
    from scipy.optimize import linear_sum_assignment

    problems = batch(4, m=N)
    draws = exact_draws(problems, jnp.zeros((K, N), jnp.int32), None)
    for k in range(K):
        x, y, _, _, s, t = one_of(problems, k)
        cost = ((x[:, None] - y[None]) ** 2).sum(-1)
        rows, columns = linear_sum_assignment(cost)
        joint = s[rows].T @ t[columns] / N
        np.testing.assert_allclose(draws.label_joint[k], joint, atol=1e-12)
        away = cost[rows, columns].mean()
        assert float(draws.domain_difference[k]) == pytest.approx(away, rel=1e-9)
        entropy = reference.conditional_entropy(joint)
        assert float(draws.task_difference[k]) == pytest.approx(entropy, abs=1e-12)
    assert draws.converged.all() and not draws.marginal_error.any()
    # No other plan with these marginals costs less.
    entropic, _ = entropic_draws(
        problems, jnp.zeros((K, N), jnp.int32), None, jnp.asarray(0.3),
        relative=False, settings=TIGHT,
    )  # fmt: skip
    assert (draws.domain_difference <= entropic.domain_difference).all()


def test_the_exact_plan_cannot_be_traced():
    small = jax.tree.map(lambda part: jnp.asarray(part, jnp.float32), batch_of_two())
    with pytest.raises(
        TypeError, match="solver='exact' runs on the host and cannot be"
    ):
        jax.jit(lambda p: exact_draws(p, ROWS[:, :2], None).task_difference)(small)


def batch_of_two():
    one = np.ones((K, 2, 1), np.float32)
    weights = np.full((K, 2), 0.5, np.float32)
    return Problem(one, one, weights, weights, one, one)

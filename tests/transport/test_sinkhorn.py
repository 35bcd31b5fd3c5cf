"""The solver as a whole: laws of entropic plans, in float64."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.transport import reference
from tests.transport.test_iteration import problem
from trfjax.transport.problem import Settings
from trfjax.transport.sinkhorn import read_off, solve

EPSILON = 0.2
TIGHT = Settings(tolerance=1e-12, joint_tolerance=1e-12)
run = jax.jit(solve, static_argnames="settings")


def solved(made, epsilon=EPSILON, settings=TIGHT, **options):
    return run(made, jnp.asarray(epsilon), settings=settings, **options)


def plan_of(made, found, epsilon=EPSILON):
    """The plan that the potentials stand for."""
    logits = 2 / epsilon * np.asarray(made.source) @ np.asarray(made.target).T
    logits = (
        logits + np.asarray(found.log_scale)[:, None] + np.asarray(found.log_offset)
    )
    return np.exp(logits)


def by_hand(made, epsilon=EPSILON):
    return reference.entropic_plan(
        made.source, made.target, made.source_weights, made.target_weights, epsilon
    )


def joint_of(made, plan):
    return np.asarray(made.source_labels).T @ plan @ np.asarray(made.target_labels)


@pytest.mark.parametrize("epsilon", [0.05, 1.0, 50.0])
def test_everything_that_is_read_off_belongs_to_one_plan(epsilon, x64, rng):
    made = problem(a=rng.random(40) + 0.1, b=rng.random(30) + 0.1)
    found, (plan, _) = solved(made, epsilon), by_hand(made, epsilon)
    assert found.converged and found.marginal_error <= 1e-12
    np.testing.assert_allclose(plan_of(made, found, epsilon), plan, atol=1e-11)
    np.testing.assert_allclose(found.joint, joint_of(made, plan), atol=1e-10)
    shares = plan.T @ np.asarray(made.source_labels)
    np.testing.assert_allclose(found.shares, shares, atol=1e-10)
    inner = np.sum(plan * (np.asarray(made.source) @ np.asarray(made.target).T))
    np.testing.assert_allclose(found.inner, inner, rtol=1e-9)


def test_the_potentials_solve_the_dual(x64):
    """Strong duality: a.f + b.g is <P, C> + epsilon KL(P | a b')."""
    made = problem(1)
    found, (plan, cost) = solved(made), by_hand(made)
    x, y, a, b = (np.asarray(v) for v in (
        made.source, made.target, made.source_weights, made.target_weights,
    ))  # fmt: skip
    f = EPSILON * (np.asarray(found.log_scale) - np.log(a)) + np.sum(x**2, axis=1)
    g = EPSILON * (np.asarray(found.log_offset) - np.log(b)) + np.sum(y**2, axis=1)
    divergence = np.sum(plan * np.log(plan / np.outer(a, b)))
    primal = np.sum(plan * cost) + EPSILON * divergence
    assert a @ f + b @ g == pytest.approx(primal, rel=1e-9)
    # And no other potentials do better: the dual is concave.
    rng = np.random.default_rng(0)
    for _ in range(5):
        f2, g2 = f + 0.1 * rng.normal(size=40), g + 0.1 * rng.normal(size=30)
        mass = np.exp((f2[:, None] + g2 - cost) / EPSILON) * np.outer(a, b)
        assert a @ f2 + b @ g2 - EPSILON * (mass.sum() - 1) < primal


def test_swapped_sides_transpose_the_plan(x64):
    made = problem(2)
    swapped = type(made)(
        made.target, made.source, made.target_weights, made.source_weights,
        made.target_labels, made.source_labels,
    )  # fmt: skip
    one, other = solved(made), solved(swapped)
    np.testing.assert_allclose(other.joint, one.joint.T, atol=1e-11)
    np.testing.assert_allclose(other.inner, one.inner, rtol=1e-10)
    np.testing.assert_allclose(
        plan_of(swapped, other), plan_of(made, one).T, atol=1e-11
    )


def test_the_cost_grows_with_epsilon_up_to_that_of_independence(x64):
    made = problem(3)
    x, y = np.asarray(made.source), np.asarray(made.target)
    squares = np.sum(x**2) / 40 + np.sum(y**2) / 30
    epsilons = (0.05, 0.2, 1.0, 5.0, 50.0)
    costs = [squares - 2 * float(solved(made, e).inner) for e in epsilons]
    assert (np.diff(costs) > 0).all()
    independent = solved(made, 1e9)
    np.testing.assert_allclose(independent.inner, 0, atol=1e-7)  # centred clouds
    p, q = (
        np.asarray(made.source_labels).mean(0),
        np.asarray(made.target_labels).mean(0),
    )
    np.testing.assert_allclose(independent.joint, np.outer(p, q), atol=1e-7)
    assert costs[-1] < squares


def test_scaling_both_clouds_is_scaling_epsilon(x64):
    made = problem(4)
    scaled = dataclasses.replace(made, source=3 * made.source, target=3 * made.target)
    one, other = solved(made), solved(scaled, 9 * EPSILON)
    np.testing.assert_allclose(other.joint, one.joint, atol=1e-11)
    np.testing.assert_allclose(other.inner, 9 * one.inner, rtol=1e-9)


def test_a_start_at_the_solution_is_the_end(x64):
    made = problem(5, spread=3)
    found = solved(made)
    again = solved(made, start=found.log_offset)
    assert found.converged and again.converged
    assert again.iterations < found.iterations / 2
    np.testing.assert_allclose(again.joint, found.joint, atol=1e-10)


def test_any_start_leads_to_the_same_plan(x64):
    made = problem(5)
    found, anywhere = solved(made), solved(made, start=jnp.zeros(30))
    np.testing.assert_allclose(anywhere.joint, found.joint, atol=1e-9)


@pytest.mark.parametrize(
    "changes",
    [{"block_rows": 1}, {"block_rows": 7}, {"dense_limit": 1},
     {"dense_limit": 1, "block_rows": 11}],
)  # fmt: skip
def test_how_the_work_is_cut_up_changes_nothing(changes, x64):
    made = problem(6)
    whole = solved(made)
    found = solved(made, settings=dataclasses.replace(TIGHT, **changes))
    np.testing.assert_allclose(found.joint, whole.joint, atol=1e-11)
    np.testing.assert_allclose(found.shares, whole.shares, atol=1e-11)


def test_equal_points_share_as_their_weights(x64):
    """A point given twice is one of twice the weight, and keeps its labels apart."""
    made = problem(7)
    twice = np.r_[np.arange(30), np.arange(10)]
    weights = (
        np.asarray(made.target_weights)[twice]
        / np.r_[np.full(10, 2), np.ones(20), np.full(10, 2)]
    )
    doubled = dataclasses.replace(
        made,
        target=made.target[twice],
        target_weights=jnp.asarray(weights),
        target_labels=made.target_labels[twice],
    )
    one, two = solved(made), solved(doubled)
    np.testing.assert_allclose(two.joint, one.joint, atol=1e-10)
    halves = np.asarray(two.shares)
    np.testing.assert_allclose(halves[:10], halves[30:], atol=1e-12)
    np.testing.assert_allclose(halves[:10] + halves[30:], one.shares[:10], atol=1e-11)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 5), (5, 1)])
def test_one_point_has_no_choice(n, m, x64):
    made = problem(8, n, m)
    found = solved(made)
    assert found.converged
    plan = np.outer(made.source_weights, made.target_weights)
    np.testing.assert_allclose(plan_of(made, found), plan, atol=1e-13)
    np.testing.assert_allclose(found.joint, joint_of(made, plan), atol=1e-13)


def test_clouds_without_extent_are_coupled_independently(x64):
    made = problem(9)
    flat = dataclasses.replace(made, source=0 * made.source, target=0 * made.target)
    found = solved(flat, 0.01)
    plan = np.outer(made.source_weights, made.target_weights)
    assert found.converged and found.inner == 0
    np.testing.assert_allclose(found.joint, joint_of(made, plan), atol=1e-12)


def test_a_solution_that_ran_out_of_reads_says_so(x64):
    few = dataclasses.replace(TIGHT, max_iterations=1)
    found = solved(problem(10, spread=3), 0.01, settings=few)
    assert not found.converged and np.isfinite(found.joint).all()
    assert found.marginal_error > few.tolerance
    # Rows are exact at any time; what is wrong are the columns.
    np.testing.assert_allclose(found.joint.sum(axis=1), problem(10, spread=3)
                               .source_labels.mean(axis=0), atol=1e-12)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "converged"), [(np.nan, True), (0.0, True), (1.0, False)]
)
def test_what_is_not_measured_does_not_count_against_it(change, converged, x64):
    made = problem(11)
    offset = solved(made).log_offset
    found = read_off(
        made, jnp.asarray(2 / EPSILON), offset, Settings(),
        change=jnp.asarray(change), reads=jnp.asarray(6),
    )  # fmt: skip
    assert bool(found.converged) is converged and found.iterations == 7
    np.testing.assert_array_equal(found.log_offset, offset)

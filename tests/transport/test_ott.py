"""The solver of OTT-JAX behind our result."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.transport.test_iteration import problem
from tests.transport.test_sinkhorn import by_hand, joint_of, plan_of
from trfjax.transport.gradient import solve_with_gradient
from trfjax.transport.ott import INNER_ITERATIONS, solve_with_ott
from trfjax.transport.problem import Settings

EPSILON = 1.0
SETTINGS = Settings(solver="ott", tolerance=1e-9)
run = jax.jit(solve_with_ott, static_argnames="settings")


@pytest.fixture(scope="module")
def found():
    with jax.enable_x64(True):
        made = problem()
        return made, run(made, jnp.asarray(EPSILON), settings=SETTINGS)


def test_its_potentials_are_of_our_form(found, x64):
    made, solution = found
    plan, _ = by_hand(made, EPSILON)
    assert solution.converged and solution.marginal_error <= 1e-9
    np.testing.assert_allclose(plan_of(made, solution, EPSILON), plan, atol=1e-9)
    np.testing.assert_allclose(solution.joint, joint_of(made, plan), atol=1e-8)
    inner = np.sum(plan * (np.asarray(made.source) @ np.asarray(made.target).T))
    np.testing.assert_allclose(solution.inner, inner, rtol=1e-6)


def test_what_it_does_not_measure_is_nan(found):
    assert np.isnan(found[1].joint_change)
    assert (
        int(found[1].iterations) - 1
    ) % INNER_ITERATIONS == 0  # the last read is ours


def test_too_few_iterations_are_told(x64):
    few = Settings(solver="ott", tolerance=1e-12, max_iterations=INNER_ITERATIONS)
    made = problem(spread=2)
    solution = run(made, jnp.asarray(0.05), settings=few)
    assert not solution.converged and np.isfinite(solution.joint).all()
    assert solution.iterations == INNER_ITERATIONS + 1


def test_the_same_derivative_as_of_ours(x64):
    made = problem()

    def slope(solver):
        settings = Settings(solver=solver, tolerance=1e-12, joint_tolerance=1e-12)

        def value(source):
            moved = type(made)(
                source, made.target, made.source_weights, made.target_weights,
                made.source_labels, made.target_labels,
            )  # fmt: skip
            joint = solve_with_gradient(moved, jnp.asarray(EPSILON), settings).joint
            return joint[0, 0] - 2 * joint[1, 2]

        return np.asarray(jax.grad(value)(made.source))

    ours = slope("fast")
    assert np.abs(ours).max() > 1e-4
    np.testing.assert_allclose(slope("ott"), ours, atol=1e-8)

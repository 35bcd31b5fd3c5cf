"""A Newton step on the semi-dual, against the Hessian in NumPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp

from tests.transport.test_iteration import EPSILON, problem, semi_dual
from trfjax.transport import newton
from trfjax.transport.cycle import measure
from trfjax.transport.iteration import first_stage
from trfjax.transport.kernel import kept_kernel, kept_reader
from trfjax.transport.newton import MOVE, NEWTON_TOLERANCE, newton_step

SCALE = 2 / EPSILON


@functools.partial(jax.jit, static_argnames=("enough", "direct"))
def step_from(made, offset, hard, *, enough=1e-14, direct=True):
    """Return the step at an offset, its reads, whether the next is hard, and a plan.

    `direct` only names the program: the choice of the preconditioner is a constant of
    the module, which is not a part of the key of a compiled function.
    """
    del direct
    scale = jnp.asarray(SCALE)
    kernel, _ = kept_kernel(
        made.source, made.source_weights, made.target, scale, offset, block=64
    )
    reader = kept_reader(kernel, block=64)
    now = measure(reader, jnp.zeros_like(offset), made, jnp.zeros((4, 3)))
    step, reads, hard = newton_step(
        reader, now.u, now.v, now.moved, now.sums, made, hard=hard, enough=enough
    )
    return step, reads, hard, now.u[:, None] * kernel * now.v


def hessian_and_gradient(made, plan):
    a, b = np.asarray(made.source_weights), np.asarray(made.target_weights)
    plan = np.asarray(plan)
    sums = plan.sum(axis=0)
    return np.diag(sums) - plan.T @ (plan / a[:, None]), b - sums


@pytest.fixture(params=[True, False])
def direct(request, monkeypatch):
    """Without and with the better preconditioner, which large problems are given."""
    if not request.param:
        monkeypatch.setattr(newton, "WORTHWHILE", 0)
    return request.param


def test_it_solves_newtons_system_to_its_tolerance(direct, x64):
    made = problem()
    offset = first_stage(made, jnp.asarray(SCALE)).offset
    # Near the solution a full step is taken, so that the step is the solution itself.
    for _ in range(6):
        offset = offset + step_from(made, offset, jnp.asarray(True), direct=direct)[0]
    offset = offset + 0.01 * jnp.asarray(np.random.default_rng(0).normal(size=30))
    step, _, _, plan = step_from(made, offset, jnp.asarray(True), direct=direct)
    hessian, gradient = hessian_and_gradient(made, plan)
    left = gradient - hessian @ np.asarray(step)
    assert np.linalg.norm(left) < NEWTON_TOLERANCE**0.5 * np.linalg.norm(gradient)
    # Constants change nothing, so the step has none.
    assert abs(np.asarray(made.target_weights) @ step) < 1e-12 * np.abs(step).max()


def test_every_step_raises_the_semi_dual_and_a_few_find_its_top(direct, x64):
    made = problem()
    offset = first_stage(made, jnp.asarray(SCALE)).offset
    values, errors = [semi_dual(made, SCALE, np.asarray(offset))], []
    hard = jnp.asarray(False)
    for _ in range(30):  # each leaves some 0.05^0.5 of the residual
        step, _, hard, plan = step_from(made, offset, hard, direct=direct)
        errors.append(np.abs(hessian_and_gradient(made, plan)[1]).sum())
        assert np.abs(step).max() <= MOVE / 2 + 1e-12
        offset = offset + step
        values.append(semi_dual(made, SCALE, np.asarray(offset)))
    assert (np.diff(values) >= -1e-13).all()
    assert errors[-1] < 1e-6 * errors[0]


def test_where_the_error_is_small_enough_nothing_is_done(x64):
    made = problem()
    offset = first_stage(made, jnp.asarray(SCALE)).offset
    step, reads, hard, _ = step_from(made, offset, jnp.asarray(False), enough=2.0)
    assert not np.asarray(step).any() and reads == 0 and not hard
    step, reads, *_ = step_from(made, offset, jnp.asarray(False), enough=1e-3)
    assert np.asarray(step).any() and reads > 0


def test_a_hard_problem_stays_hard(x64):
    made = problem()
    offset = first_stage(made, jnp.asarray(SCALE)).offset
    assert step_from(made, offset, jnp.asarray(True), enough=2.0)[2]


def test_padding_does_not_move(direct, x64):
    weights = np.r_[np.ones(25), np.zeros(5)]
    made = problem(b=weights)
    offset = first_stage(made, jnp.asarray(SCALE)).offset
    assert np.isneginf(offset[25:]).all()
    step, *_ = step_from(made, offset, jnp.asarray(True), direct=direct)
    assert np.isfinite(step).all() and not np.asarray(step[25:]).any()
    assert np.asarray(step[:25]).any()


def test_a_step_is_kept_short(x64):
    """A column that lacks nearly all of its mass asks for more than the range has."""
    made = problem()
    offset = first_stage(made, jnp.asarray(SCALE)).offset.at[3].add(-60.0)
    step, *_ = step_from(made, offset, jnp.asarray(False))
    assert np.isfinite(step).all() and np.abs(step).max() <= MOVE / 2 + 1e-12
    before = semi_dual(made, SCALE, np.asarray(offset))
    assert semi_dual(made, SCALE, np.asarray(offset + step)) >= before


def test_the_hessian_is_that_of_the_semi_dual(x64):
    """The definition in the module, against second differences of F."""
    made = problem()
    offset = np.asarray(first_stage(made, jnp.asarray(SCALE)).offset)
    plan = step_from(made, jnp.asarray(offset), jnp.asarray(False))[3]
    hessian, gradient = hessian_and_gradient(made, plan)
    x, y, a, b = map(np.asarray, (
        made.source, made.target, made.source_weights, made.target_weights,
    ))  # fmt: skip

    def value(move):
        rows = logsumexp(SCALE * x @ y.T + offset + move, axis=1)
        return b @ (offset + move) - a @ rows

    direction = np.random.default_rng(1).normal(size=30)
    h = 1e-4
    up, middle, down = (value(k * h * direction) for k in (1, 0, -1))
    assert (up - down) / (2 * h) == pytest.approx(gradient @ direction, rel=1e-6)
    second = (up - 2 * middle + down) / h**2
    assert second == pytest.approx(-direction @ hessian @ direction, rel=1e-4)

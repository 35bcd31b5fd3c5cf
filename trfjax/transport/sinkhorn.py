"""The solver: from a problem to what is read off its plan."""

from __future__ import annotations

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from trfjax.transport.iteration import first_stage, iterate, last_stage
from trfjax.transport.kernel import join_rows, row_exponentials, split_rows
from trfjax.transport.nested import solve_levels
from trfjax.transport.problem import Problem, Settings, Solution


def solve(
    problem: Problem, epsilon: Array, settings: Settings, start: Array | None = None
) -> Solution:
    """Solve one problem; never raises, `converged` says how it ended.

    Args:
        problem: clouds centred by the caller, weights that sum to 1.
        epsilon: entropic regularisation, in units of the squared distance.
        settings: when to stop.
        start: `(m,)` offsets to begin with, at the final epsilon; stages are skipped.
    """
    scale = jnp.asarray(2 / epsilon, problem.source.dtype)
    if start is None:
        state = solve_levels(problem, scale, settings)
    else:
        state = last_stage(first_stage(problem, scale), start)
        state = iterate(problem, scale, state, settings)
    return read_off(
        problem, scale, state.offset, settings, change=state.change, reads=state.reads
    )


def read_off(
    problem: Problem,
    scale: Array,
    offset: Float[Array, " m"],
    settings: Settings,
    *,
    change: Array,
    reads: Array,
) -> Solution:
    """Return what is read off the plan, from kernel rows formed for the last time.

    A `change` of NaN is one that was not measured; it does not count against
    `converged`.
    """
    y, labels = problem.target, problem.source_labels.shape[1]

    def rows(total: Array, part: tuple[Array, ...]):
        x, a, values = part
        exponentials, factor, log_scale = row_exponentials(x, a, y, scale, offset)
        values = jnp.concatenate([values, x], axis=1) * factor[:, None]
        read = jnp.matmul(exponentials.T, values, precision="highest")
        return total + read, log_scale

    names = ("source", "source_weights", "source_labels")
    block = settings.block(len(y))
    parts = tuple(split_rows(getattr(problem, n), block) for n in names)
    begin = jnp.zeros((len(y), labels + y.shape[1]), y.dtype)
    total, log_scale = lax.scan(rows, begin, parts)
    shares, means = total[:, :labels], total[:, labels:]
    joint = jnp.matmul(shares.T, problem.target_labels, precision="highest")
    error = jnp.abs(shares.sum(axis=1) - problem.target_weights).sum()
    moving = change > settings.joint_tolerance
    return Solution(
        joint=joint,
        shares=shares,
        inner=jnp.sum(means * y),
        log_scale=join_rows(log_scale, len(problem.source)),
        log_offset=offset,
        marginal_error=error,
        joint_change=change,
        iterations=reads + 1,
        converged=(error <= settings.tolerance) & ~moving,
    )

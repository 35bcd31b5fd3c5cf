r"""Iteration on one level: Sinkhorn steps, and Newton steps where those are slow.

The plan is `P_ij = exp(2/eps x_i . y_j + alpha_i + beta_j)`; `alpha` is always the
one that makes the rows exact, so only `beta` is iterated, on the concave semi-dual

$$F(\beta) = \sum_j b_j \beta_j - \sum_i a_i \log \sum_j e^{L_ij + \beta_j}.$$

A cycle is a few Sinkhorn steps and one Newton step, whose system
`(diag(c) - P^T diag(1/a) P) d = b - c` is solved by conjugate gradients. Both need
only products with a kernel that stays as it is until `beta` has moved too far.
Sinkhorn alone stalls when epsilon is small against the cost: on logits its label
joint can look settled while it is still wrong in the second digit.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from trfjax.arrays import safe_divide
from trfjax.transport.kernel import (
    Reader,
    kept_kernel,
    kept_reader,
    log_weights,
    streamed_log_scale,
    streamed_reader,
)
from trfjax.transport.newton import MOVE, newton_step
from trfjax.transport.problem import Problem, Settings

STAGE_FACTOR = 4.0  # epsilon shrinks by this from stage to stage
STAGE_START = 50.0  # the largest exponent the first stage may have
STAGE_TOLERANCE = 0.05  # marginal error at which a stage hands over to the next
STAGE_VISITS = 4  # kernels a stage may build before it hands over anyway
SINKHORN_STEPS = 2  # per cycle
CYCLES = 20  # per kernel


class Clouds(NamedTuple):
    """One problem, with the numbers every step needs."""

    problem: Problem
    scale: Array  # 2 / epsilon, of the present stage
    kept: bool  # whether the kernel is kept in memory
    block: int


class Reading(NamedTuple):
    """What one read of the kernel tells of the plan."""

    u: Array  # (n,) scaling that makes the rows exact
    v: Array  # (m,) scaling of the columns
    moved: Array  # (n, t) mass of every source point, by target label
    joint: Array
    sums: Array  # (m,) of the columns
    error: Array
    change: Array  # of the joint, against the last reading


class Cycle(NamedTuple):
    """State of the iteration on one kernel."""

    move: Array  # (m,) change of beta since the kernel was built
    joint: Array
    error: Array
    change: Array
    reads: Array
    cycles: Array
    hard: Array  # whether Newton's system takes many products


class Stage(NamedTuple):
    """State of the iteration over kernels and values of epsilon."""

    left: Array  # stages before the last one
    visits: Array
    offset: Array  # (m,) beta
    joint: Array
    error: Array
    change: Array
    reads: Array


def first_stage(problem: Problem, scale: Array) -> Stage:
    """Return the state before the first stage."""
    nothing = jnp.zeros((), problem.source.dtype)
    joint = jnp.zeros(
        (problem.source_labels.shape[1], problem.target_labels.shape[1]), nothing.dtype
    )
    stages = _stages_before(problem, scale)
    first = scale / STAGE_FACTOR**stages
    # The offset of a plan that knows nothing of the source but its mean.
    square = jnp.sum(problem.target**2, axis=1)
    offset = log_weights(problem.target_weights) - first * square / 2
    return Stage(
        stages, jnp.zeros((), jnp.int32), offset, joint,
        nothing + 2, nothing + 2, jnp.zeros((), jnp.int32),
    )  # fmt: skip


def last_stage(state: Stage, offset: Array) -> Stage:
    """Return the state at the final epsilon with the given offsets."""
    return state._replace(left=jnp.zeros_like(state.left), offset=offset)


def iterate(problem: Problem, scale: Array, state: Stage, settings: Settings) -> Stage:
    """Go through the stages until the plan is settled, or reads run out."""
    clouds = clouds_of(problem, scale, settings)
    return lax.while_loop(
        lambda s: ~_finished(s, settings), lambda s: _visit(s, clouds, settings), state
    )


def clouds_of(problem: Problem, scale: Array, settings: Settings) -> Clouds:
    """Decide whether the kernel of a problem is kept."""
    entries = len(problem.source) * len(problem.target)
    block = settings.block(len(problem.target))
    return Clouds(problem, scale, entries <= settings.dense_limit, block)


def _stages_before(problem: Problem, scale: Array) -> Array:
    """Return how many larger values of epsilon come before the last one."""
    longest = scale * jnp.sqrt(
        jnp.sum(problem.source**2, axis=1).max()
        * jnp.sum(problem.target**2, axis=1).max()
    )
    stages = jnp.ceil(jnp.log(longest / STAGE_START) / jnp.log(STAGE_FACTOR))
    return jnp.maximum(jnp.nan_to_num(stages, neginf=0), 0).astype(jnp.int32)


def _finished(state: Stage, settings: Settings) -> Array:
    return (state.left <= 0) & (
        settled(state, settings) | (state.reads >= settings.max_iterations)
    )


def settled(state: Stage | Cycle | Reading, settings: Settings) -> Array:
    """Return whether marginals and joint are as good as asked for."""
    return (state.error <= settings.tolerance) & (
        state.change <= settings.joint_tolerance
    )


def _visit(state: Stage, clouds: Clouds, settings: Settings) -> Stage:
    """Build the kernel for the present beta and iterate on it."""
    clouds = clouds._replace(scale=clouds.scale / STAGE_FACTOR**state.left)
    offset, kernel, reads = _build(state.offset, clouds)
    last = state.left <= 0
    begin = Cycle(
        jnp.zeros_like(offset), state.joint, state.error, state.change,
        state.reads + reads, jnp.zeros((), jnp.int32), jnp.zeros((), bool),
    )  # fmt: skip

    def going(cycle: Cycle) -> Array:
        done = jnp.where(last, settled(cycle, settings), cycle.error <= STAGE_TOLERANCE)
        far = jnp.abs(cycle.move).max() > MOVE
        spent = (cycle.cycles >= CYCLES) | (cycle.reads >= settings.max_iterations)
        return (cycle.cycles == 0) | ~(done | far | spent)

    cycle = lax.while_loop(going, lambda c: _cycle(c, kernel, clouds, settings), begin)
    visits = state.visits + 1
    onward = ~last & ((cycle.error <= STAGE_TOLERANCE) | (visits >= STAGE_VISITS))
    offset = (offset + cycle.move) * jnp.where(onward, STAGE_FACTOR, 1)
    return Stage(
        jnp.where(onward, state.left - 1, state.left),
        jnp.where(onward, 0, visits),
        offset, cycle.joint, cycle.error, cycle.change, cycle.reads,
    )  # fmt: skip


def _build(offset: Array, clouds: Clouds) -> tuple[Array, Reader, Array]:
    """Return the kernel as a reader, after mending columns that had underflowed."""
    problem, scale, kept, block = clouds
    x, a, y, b = (
        problem.source, problem.source_weights, problem.target, problem.target_weights
    )  # fmt: skip

    def form(offset: Array):
        if kept:
            return kept_kernel(x, a, y, scale, offset, block=block)
        log_scale = streamed_log_scale(x, a, y, scale, offset, block=block)
        return jnp.zeros((0, 0), x.dtype), log_scale

    def as_reader(kernel: Array, log_scale: Array, offset: Array) -> Reader:
        if kept:
            return kept_reader(kernel, block=block)
        return streamed_reader(x, log_scale, y, scale, offset, block=block)

    def mend(carry: tuple[Array, ...]) -> tuple[Array, ...]:
        _, log_scale, _, _, reads = carry
        offset = streamed_log_scale(y, b, x, scale, log_scale, block=block)
        return (*form(offset), offset, jnp.zeros((), bool), reads + 2)

    kernel, log_scale = form(offset)
    nothing = jnp.zeros((len(y), 1), x.dtype)
    sums = as_reader(kernel, log_scale, offset).read(nothing, _ones)
    lost = jnp.any((b > 0) & (sums[1] < jnp.finfo(x.dtype).tiny * 1e8))
    # A loop, not a branch: under vmap it is left out when no problem needs it.
    kernel, log_scale, offset, _, reads = lax.while_loop(
        lambda carry: carry[3],
        mend,
        (kernel, log_scale, offset, lost, jnp.full((), 2, jnp.int32)),
    )
    return offset, as_reader(kernel, log_scale, offset), reads


def _ones(left: Array) -> Array:
    return jnp.ones(len(left), left.dtype)


def _cycle(cycle: Cycle, kernel: Reader, clouds: Clouds, settings: Settings) -> Cycle:
    """Take Sinkhorn steps, measure, and take a Newton step if there is need."""
    problem = clouds.problem
    a, b = problem.source_weights, problem.target_weights

    def sinkhorn(_: Any, move: Array) -> Array:
        v = jnp.exp(move)[:, None]
        _, back = kernel.read(v, lambda t, a: safe_divide(a, t[:, 0]), a)
        return column_scale(b, back)

    move = lax.fori_loop(0, SINKHORN_STEPS, sinkhorn, cycle.move)
    now = measure(kernel, move, problem, cycle.joint)
    step, products, hard = newton_step(
        kernel, now.u, now.v, now.moved, now.sums, problem,
        hard=cycle.hard, enough=settings.tolerance,
    )  # fmt: skip
    reads = cycle.reads + SINKHORN_STEPS + 1 + products
    cycles = cycle.cycles + 1
    return Cycle(move + step, now.joint, now.error, now.change, reads, cycles, hard)


def measure(kernel: Reader, move: Array, problem: Problem, joint: Array) -> Reading:
    """Read the plan of a kernel whose columns have moved."""
    a, b = problem.source_weights, problem.target_weights
    v = jnp.exp(move)
    left, back = kernel.read(
        v[:, None] * problem.target_labels,
        lambda t, a: safe_divide(a, t.sum(axis=1)), a,
    )  # fmt: skip
    u = safe_divide(a, left.sum(axis=1))
    now = (problem.source_labels * u[:, None]).T @ left
    sums = v * back
    error = jnp.abs(b - sums).sum()
    moved = left * u[:, None]
    return Reading(u, v, moved, now, sums, error, jnp.abs(now - joint).sum())


def column_scale(weights: Array, sums: Array) -> Array:
    """Return the log factor that gives columns their weights; 0 for padding."""
    tiny = jnp.finfo(sums.dtype).tiny
    return jnp.where(
        weights > 0, jnp.log(jnp.maximum(weights, tiny) / jnp.maximum(sums, tiny)), 0
    )

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

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from trfjax.transport.cycle import take_cycle
from trfjax.transport.kernel import (
    Reader,
    kept_kernel,
    kept_reader,
    log_weights,
    streamed_log_scale,
    streamed_reader,
)
from trfjax.transport.newton import MOVE
from trfjax.transport.problem import Problem, Settings
from trfjax.transport.progress import Clouds, Cycle, Stage, clouds_of, settled

STAGE_FACTOR = 4.0  # epsilon shrinks by this from stage to stage
STAGE_START = 50.0  # the largest exponent the first stage may have
STAGE_TOLERANCE = 0.05  # marginal error at which a stage hands over to the next
STAGE_VISITS = 4  # kernels a stage may build before it hands over anyway
CYCLES = 20  # per kernel


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
        left=stages,
        visits=jnp.zeros((), jnp.int32),
        offset=offset,
        joint=joint,
        error=nothing + 2,
        change=nothing + 2,
        reads=jnp.zeros((), jnp.int32),
    )


def last_stage(state: Stage, offset: Array) -> Stage:
    """Return the state at the final epsilon with the given offsets."""
    return state._replace(left=jnp.zeros_like(state.left), offset=offset)


def iterate(problem: Problem, scale: Array, state: Stage, settings: Settings) -> Stage:
    """Go through the stages until the plan is settled, or reads run out."""
    clouds = clouds_of(problem, scale, settings)
    return lax.while_loop(
        lambda s: ~_finished(s, settings), lambda s: _visit(s, clouds, settings), state
    )


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


def _visit(state: Stage, clouds: Clouds, settings: Settings) -> Stage:
    """Build the kernel for the present beta and iterate on it."""
    clouds = clouds._replace(scale=clouds.scale / STAGE_FACTOR**state.left)
    offset, kernel, reads = _build(state.offset, clouds)
    last = state.left <= 0
    begin = Cycle(
        move=jnp.zeros_like(offset),
        joint=state.joint,
        error=state.error,
        change=state.change,
        reads=state.reads + reads,
        cycles=jnp.zeros((), jnp.int32),
        hard=jnp.zeros((), bool),
    )

    def going(cycle: Cycle) -> Array:
        done = jnp.where(last, settled(cycle, settings), cycle.error <= STAGE_TOLERANCE)
        moved = jnp.abs(cycle.move).max() > MOVE
        spent = (cycle.cycles >= CYCLES) | (cycle.reads >= settings.max_iterations)
        return (cycle.cycles == 0) | ~(done | moved | spent)

    cycle = lax.while_loop(
        going, lambda c: take_cycle(c, kernel, clouds, settings), begin
    )
    visits = state.visits + 1
    onward = ~last & ((cycle.error <= STAGE_TOLERANCE) | (visits >= STAGE_VISITS))
    offset = (offset + cycle.move) * jnp.where(onward, STAGE_FACTOR, 1)
    return Stage(
        left=jnp.where(onward, state.left - 1, state.left),
        visits=jnp.where(onward, 0, visits),
        offset=offset,
        joint=cycle.joint,
        error=cycle.error,
        change=cycle.change,
        reads=cycle.reads,
    )


def _build(offset: Array, clouds: Clouds) -> tuple[Array, Reader, Array]:
    """Return the kernel as a reader, after mending columns that had underflowed."""
    problem, scale, kept, block = clouds
    x, a = problem.source, problem.source_weights
    y, b = problem.target, problem.target_weights

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

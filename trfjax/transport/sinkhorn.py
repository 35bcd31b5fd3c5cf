r"""Entropic transport: Sinkhorn steps, and Newton steps where those are slow.

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

import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from trfjax.transport.conjugate import conjugate_gradients
from trfjax.transport.kernel import (
    Reader,
    column_offset,
    join_rows,
    kept_kernel,
    kept_reader,
    log_weights,
    normalised_rows,
    split_rows,
    streamed_log_scale,
    streamed_reader,
)
from trfjax.transport.problem import Problem, Settings, Solution

STAGE_FACTOR = 4.0  # epsilon shrinks by this from stage to stage
STAGE_START = 50.0  # the largest exponent the first stage may have
STAGE_TOLERANCE = 0.05  # marginal error at which a stage hands over to the next
STAGE_VISITS = 4  # kernels a stage may build before it hands over anyway
SINKHORN_STEPS = 2  # per cycle
NEWTON_STEPS = 60  # products of one conjugate-gradient solve at most
NEWTON_TOLERANCE = 0.05  # of the squared residual, against that at the start
CYCLES = 20  # per kernel
COARSE_STEP = 8  # a large problem starts from the potentials of every 8th point
FINER_STEP = 4  # where the kernel is streamed, and a read costs more
COARSE_ABOVE = 4_000_000  # kernel entries above which that pays
# A kernel entry lost to underflow may regrow by exp(2 MOVE) before the kernel is built
# anew: 2 MOVE + 2 log N + log(1/tolerance) must stay below 87, the float32 range.
MOVE = 20.0


class Clouds(NamedTuple):
    """One problem, with the numbers every step needs."""

    problem: Problem
    scale: Array  # 2 / epsilon, of the present stage
    kept: bool  # whether the kernel is kept in memory
    block: int


class Cycle(NamedTuple):
    """State of the iteration on one kernel."""

    move: Array  # (m,) change of beta since the kernel was built
    joint: Array
    error: Array
    change: Array
    reads: Array
    cycles: Array


class Stage(NamedTuple):
    """State of the iteration over kernels and values of epsilon."""

    left: Array  # stages before the last one
    visits: Array
    offset: Array  # (m,) beta
    joint: Array
    error: Array
    change: Array
    reads: Array


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
    kept = len(problem.source) * len(problem.target) <= settings.dense_limit
    clouds = Clouds(problem, scale, kept, settings.block_rows)
    state = _first(problem, scale)
    if start is None and len(problem.source) * len(problem.target) > COARSE_ABOVE:
        step = COARSE_STEP if kept else FINER_STEP
        start = _coarse_start(problem, epsilon, settings, step)
        # Where epsilon is small against the cost, the potentials of a sample are too
        # far from those of the whole: there the stages lead nearer.
        start = jnp.where(state.left > 0, state.offset, start)
        state = state._replace(offset=start)
    elif start is not None:
        state = state._replace(left=jnp.zeros_like(state.left), offset=start)
    state = lax.while_loop(
        lambda s: ~_finished(s, settings), lambda s: _visit(s, clouds, settings), state
    )
    return read_off(
        problem, scale, state.offset, settings, change=state.change, reads=state.reads
    )


def _coarse_start(
    problem: Problem, epsilon: Array, settings: Settings, step: int
) -> Float[Array, " m"]:
    """Solve every `step`-th point, and extend the potentials to all of them."""
    coarse = Problem(
        *(
            part[::step]
            for part in (
                problem.source, problem.target,
                problem.source_weights, problem.target_weights,
                problem.source_labels, problem.target_labels,
            )
        )
    )  # fmt: skip
    a, b = (w / w.sum() for w in (coarse.source_weights, coarse.target_weights))
    coarse = dataclasses.replace(coarse, source_weights=a, target_weights=b)
    found = solve(coarse, epsilon, settings)
    return column_offset(
        coarse.source, found.log_scale, problem.target, problem.target_weights,
        2 / epsilon, block=settings.block_rows,
    )  # fmt: skip


def _first(problem: Problem, scale: Array) -> Stage:
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


def _stages_before(problem: Problem, scale: Array) -> Array:
    """Return how many larger values of epsilon come before the last one."""
    longest = scale * jnp.sqrt(
        jnp.sum(problem.source**2, axis=1).max()
        * jnp.sum(problem.target**2, axis=1).max()
    )
    stages = jnp.ceil(jnp.log(longest / STAGE_START) / jnp.log(STAGE_FACTOR))
    return jnp.maximum(jnp.nan_to_num(stages, neginf=0), 0).astype(jnp.int32)


def _finished(state: Stage, settings: Settings) -> Array:
    return (state.left <= 0) & _settled(state, settings) | (
        state.reads >= settings.max_iterations
    ) & (state.left <= 0)


def _settled(state: Stage | Cycle, settings: Settings) -> Array:
    return (state.error <= settings.tolerance) & (
        state.change <= settings.joint_tolerance
    )


def _visit(state: Stage, clouds: Clouds, settings: Settings) -> Stage:
    """Build the kernel for the present beta and iterate on it."""
    clouds = clouds._replace(scale=clouds.scale / STAGE_FACTOR**state.left)
    offset, read, reads = _build(state.offset, clouds)
    last = state.left <= 0
    begin = Cycle(
        jnp.zeros_like(offset), state.joint, state.error, state.change,
        state.reads + reads, jnp.zeros((), jnp.int32),
    )  # fmt: skip

    def going(cycle: Cycle) -> Array:
        done = jnp.where(
            last, _settled(cycle, settings), cycle.error <= STAGE_TOLERANCE
        )
        far = jnp.abs(cycle.move).max() > MOVE
        spent = (cycle.cycles >= CYCLES) | (cycle.reads >= settings.max_iterations)
        return (cycle.cycles == 0) | ~(done | far | spent)

    cycle = lax.while_loop(going, lambda c: _cycle(c, read, clouds, settings), begin)
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
            return kept_reader(kernel)
        return streamed_reader(x, log_scale, y, scale, offset, block=block)

    def mend(carry: tuple[Array, ...]) -> tuple[Array, ...]:
        _, log_scale, _, _, reads = carry
        offset = column_offset(x, log_scale, y, b, scale, block=block)
        return (*form(offset), offset, jnp.zeros((), bool), reads + 2)

    kernel, log_scale = form(offset)
    sums = as_reader(kernel, log_scale, offset)(jnp.zeros((len(y), 1), x.dtype), _ones)
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


def _divide(value: Array, by: Array) -> Array:
    """Return the quotient, 0 for padding, where both are 0."""
    return jnp.where(by > 0, value / jnp.where(by > 0, by, 1), 0)


def _column_scale(weights: Array, sums: Array) -> Array:
    """Return the log factor that gives columns their weights; 0 for padding."""
    tiny = jnp.finfo(sums.dtype).tiny
    return jnp.where(
        weights > 0, jnp.log(jnp.maximum(weights, tiny) / jnp.maximum(sums, tiny)), 0
    )


def _cycle(cycle: Cycle, read: Reader, clouds: Clouds, settings: Settings) -> Cycle:
    """Take Sinkhorn steps, measure, and take a Newton step if there is need."""
    problem = clouds.problem
    a, b = problem.source_weights, problem.target_weights

    def sinkhorn(_: Any, move: Array) -> Array:
        _, back = read(jnp.exp(move)[:, None], lambda t, a: _divide(a, t[:, 0]), a)
        return _column_scale(b, back)

    move = lax.fori_loop(0, SINKHORN_STEPS, sinkhorn, cycle.move)
    v = jnp.exp(move)
    left, back = read(
        v[:, None] * problem.target_labels, lambda t, a: _divide(a, t.sum(axis=1)), a
    )
    u = _divide(a, left.sum(axis=1))
    joint = (problem.source_labels * u[:, None]).T @ left
    sums = v * back
    error = jnp.abs(b - sums).sum()
    change = jnp.abs(joint - cycle.joint).sum()
    step, products = _newton(read, u, v, a, b, sums, enough=settings.tolerance)
    reads = cycle.reads + SINKHORN_STEPS + 1 + products
    return Cycle(move + step, joint, error, change, reads, cycle.cycles + 1)


def _newton(
    read: Reader,
    u: Float[Array, " n"],
    v: Float[Array, " m"],
    a: Float[Array, " n"],
    b: Float[Array, " m"],
    sums: Float[Array, " m"],
    *,
    enough: float,
) -> tuple[Float[Array, " m"], Array]:
    """Return a Newton step on the semi-dual, 0 where the error is small enough."""
    gradient = b - sums
    middle = _divide(u * u, a)
    inverse = _divide(jnp.ones_like(sums), sums)

    def apply(d: Array) -> Array:
        _, back = read((v * d)[:, None], lambda t, w: w * t[:, 0], middle)
        return sums * d - v * back

    d, products = conjugate_gradients(
        apply, gradient, lambda residual: residual * inverse,
        tolerance=NEWTON_TOLERANCE, steps=NEWTON_STEPS,
        needed=jnp.abs(gradient).sum() > enough,
    )  # fmt: skip
    d = jnp.where(b > 0, d - jnp.sum(b * d), 0)
    d = d * jnp.minimum(1, MOVE / 2 / jnp.maximum(jnp.abs(d).max(), 1e-30))
    length, tries = _line_search(read, u, v, a, b, gradient, d, active=products > 0)
    return length * d, products + tries


def _line_search(
    read: Reader,
    u: Array,
    v: Array,
    a: Array,
    b: Array,
    gradient: Array,
    d: Array,
    *,
    active: Array,
) -> tuple[Array, Array]:
    """Halve the step until the semi-dual rises; 0 if it never does."""
    slope = jnp.sum(gradient * d)

    def rise(length: Array) -> Array:
        left, _ = read((v * jnp.exp(length * d))[:, None], lambda t: jnp.zeros(len(t)))
        # Differences of logs, so that a small rise is not lost to rounding.
        ratio = jnp.where(a > 0, left[:, 0] * u / jnp.where(a > 0, a, 1), 1)
        return length * jnp.sum(b * d) - jnp.sum(a * jnp.log(ratio))

    def going(state: tuple[Array, Array, Array]) -> Array:
        length, value, tries = state
        return active & ~(value >= 1e-4 * length * slope) & (tries < 6)

    def halve(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        length, _, tries = state
        length = jnp.where(tries == 0, 1.0, length / 2).astype(d.dtype)
        return length, rise(length), tries + 1

    nothing = jnp.zeros((), d.dtype)
    begin = (nothing, nothing - jnp.inf, jnp.zeros((), jnp.int32))
    length, value, tries = lax.while_loop(going, halve, begin)
    return jnp.where(value >= 0, length, 0), tries


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
    y, classes = problem.target, problem.target_labels.shape[1]
    values = jnp.concatenate([problem.target_labels, y], axis=1)

    def rows(carry: tuple[Array, ...], part: tuple[Array, ...]):
        x, a, labels = part
        plan, log_scale = normalised_rows(x, a, y, scale, offset)
        shares, joint, inner = carry
        read = jnp.matmul(plan, values, precision="highest")
        joint = joint + labels.T @ read[:, :classes]
        inner = inner + jnp.sum(x * read[:, classes:])
        return (shares + plan.T @ labels, joint, inner), log_scale

    names = ("source", "source_weights", "source_labels")
    parts = tuple(split_rows(getattr(problem, n), settings.block_rows) for n in names)
    sources = problem.source_labels.shape[1]
    shares, joint = jnp.zeros((len(y), sources)), jnp.zeros((sources, classes))
    begin = (shares.astype(y.dtype), joint.astype(y.dtype), jnp.zeros((), y.dtype))
    (shares, joint, inner), log_scale = lax.scan(rows, begin, parts)
    error = jnp.abs(shares.sum(axis=1) - problem.target_weights).sum()
    moving = change > settings.joint_tolerance
    return Solution(
        joint, shares, inner, join_rows(log_scale, len(problem.source)), offset, error,
        change, reads + 1, (error <= settings.tolerance) & ~moving,
    )  # fmt: skip

"""Large problems: the potentials of a sample of the points, corrected until they serve.

The potentials of a smooth problem are smooth functions of a point, and so is what is
missing from its marginals. Both are found on a sample: its problem is solved, with
target weights that carry the correction found so far, and its potentials are extended
to every point. One read of the whole kernel, formed block by block and never kept,
then says what is still missing. A round divides the error by 5 to 20 where a Sinkhorn
step divides it by less than 2. Where epsilon is so small against the cost that points
hardly share neighbours, a sample knows little of the rest: the first reading shows it,
and the stages begin as ever.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from trfjax.transport.cycle import column_scale, measure
from trfjax.transport.iteration import first_stage, iterate, last_stage
from trfjax.transport.kernel import streamed_log_scale, streamed_reader
from trfjax.transport.problem import Problem, Settings
from trfjax.transport.progress import Reading, Stage, settled

NESTED_ABOVE = 20_000_000  # kernel entries above which a sample pays
SAMPLE = 2_500  # points of it: every 4th, 8th ... point is taken
ROUNDS = 12
GOOD = 0.2  # marginal error of a start that serves
PROGRESS = 0.5  # share of the error that a round may leave
TIGHTER = 0.1  # tolerance on the sample, as a share of the whole's
ROUNDING = 100  # units of rounding that no marginal error is asked to be below


class Round(NamedTuple):
    """State of the corrections."""

    offset: Array  # (m,) of the whole problem
    missing: Array  # (m,) log factor of the target weights, for the sample
    sample: Array  # offsets of the sample
    reading: Reading  # its change is that of all rounds to come
    before: Array  # error of the reading before
    rounds: Array


def solve_levels(problem: Problem, scale: Array, settings: Settings) -> Stage:
    """Solve a problem; a large one through a sample of its points."""
    state = first_stage(problem, scale)
    if len(problem.source) * len(problem.target) > NESTED_ABOVE:
        state = _corrected(problem, scale, state, settings)
    return iterate(problem, scale, state, settings)


def _corrected(
    problem: Problem, scale: Array, state: Stage, settings: Settings
) -> Stage:
    """Return the state to begin with: the solution, where a sample serves."""
    x, y = problem.source, problem.target
    tight = _tight(settings, float(jnp.finfo(x.dtype).eps))
    a, b = problem.source_weights, problem.target_weights
    step = _step(problem)
    nothing = jnp.zeros_like(b)
    sample = _every(problem, step, nothing)
    found = solve_levels(sample, scale, tight).offset
    # Rows and columns of the kernel that all corrections are read with.
    base = _extended(sample, scale, found, y, b, settings)
    rows = _opposite(x, a, sample.target, scale, found, settings)
    kernel = streamed_reader(x, rows, y, scale, base, block=settings.block(len(y)))

    def again(last: Round) -> Round:
        missing = last.missing + column_scale(b, last.reading.sums)
        sample = _every(problem, step, missing)
        begin = last_stage(first_stage(sample, scale), last.sample)
        found = iterate(sample, scale, begin, tight).offset
        offset = missing + _extended(sample, scale, found, y, b, settings)
        reading = measure(
            kernel, jnp.where(b > 0, offset - base, 0), problem, last.reading.joint
        )
        before = last.reading.error
        left = reading.error / jnp.maximum(before - reading.error, 0)
        reading = reading._replace(change=reading.change * left)
        return Round(
            offset=offset,
            missing=missing,
            sample=found,
            reading=reading,
            before=before,
            rounds=last.rounds + 1,
        )

    def going(now: Round) -> Array:
        error = now.reading.error
        onward = (error < GOOD) & (error < PROGRESS * now.before)
        return ~settled(now.reading, settings) & onward & (now.rounds < ROUNDS)

    reading = measure(kernel, nothing, problem, state.joint)
    infinite = jnp.full_like(reading.error, jnp.inf)
    one = jnp.ones((), jnp.int32)
    first = Round(
        offset=base,
        missing=nothing,
        sample=found,
        reading=reading,
        before=infinite,
        rounds=one,
    )
    end = lax.while_loop(going, again, first)
    joint, error, change = end.reading.joint, end.reading.error, end.reading.change
    served = last_stage(state, end.offset)
    served = served._replace(joint=joint, error=error, change=change)
    return Stage(
        *(jnp.where(error < GOOD, *pair) for pair in zip(served, state, strict=True))
    )._replace(reads=end.rounds)


def _tight(settings: Settings, rounding: float) -> Settings:
    """Return the stopping rule of the sample: tighter, where numbers allow it."""
    wanted = max(TIGHTER * settings.tolerance, ROUNDING * rounding)
    return dataclasses.replace(settings, tolerance=min(wanted, settings.tolerance))


def _step(problem: Problem) -> int:
    fewest = min(len(problem.source), len(problem.target))
    step = 4
    while fewest // (2 * step) >= SAMPLE:
        step *= 2
    return step


def _every(problem: Problem, step: int, missing: Float[Array, " m"]) -> Problem:
    """Return every `step`-th point, with the correction of the target weights."""
    parts = {
        field.name: getattr(problem, field.name)[::step]
        for field in dataclasses.fields(problem)
    }
    a, b = parts["source_weights"], parts["target_weights"] * jnp.exp(missing[::step])
    weights = {"source_weights": a / a.sum(), "target_weights": b / b.sum()}
    return Problem(**parts | weights)


def _extended(
    sample: Problem,
    scale: Array,
    offset: Array,
    y: Float[Array, "m d"],
    b: Float[Array, " m"],
    settings: Settings,
) -> Float[Array, " m"]:
    """Return the offsets of all target points that go with those of a sample."""
    x, a = sample.source, sample.source_weights
    rows = _opposite(x, a, sample.target, scale, offset, settings)
    return _opposite(y, b, x, scale, rows, settings)


def _opposite(
    x: Float[Array, "n d"],
    a: Float[Array, " n"],
    y: Float[Array, "m d"],
    scale: Array,
    offset: Float[Array, " m"],
    settings: Settings,
) -> Float[Array, " n"]:
    """Return the offsets of one side that go with those of the other."""
    block = settings.block(len(y))
    return streamed_log_scale(x, a, y, scale, offset, block=block)

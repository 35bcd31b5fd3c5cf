"""How far the iteration is: what it holds from read to read, and when it is done."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Array

from trfjax.transport.problem import Problem, Settings


class Clouds(NamedTuple):
    """One problem, with the numbers every step needs."""

    problem: Problem
    scale: Array  # 2 / epsilon, of the present stage
    kept: bool  # whether the kernel is kept in memory
    block: int


class Reading(NamedTuple):
    """The plan as one read of the kernel shows it."""

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


def clouds_of(problem: Problem, scale: Array, settings: Settings) -> Clouds:
    """Decide whether the kernel of a problem is kept."""
    entries = len(problem.source) * len(problem.target)
    block = settings.block(len(problem.target))
    return Clouds(problem, scale, entries <= settings.dense_limit, block)


def settled(state: Stage | Cycle | Reading, settings: Settings) -> Array:
    """Return whether marginals and joint are as good as asked for."""
    return (state.error <= settings.tolerance) & (
        state.change <= settings.joint_tolerance
    )

"""Many small problems of different sizes: those of like size are solved together."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from trfjax.transport.joint import Transport, couple, couple_many
from trfjax.transport.problem import Problem, Settings

STEP = 64  # sizes are rounded up to multiples of it: each compiles once

SOURCE = ("source", "source_weights", "source_labels")


def couple_ragged(
    problems: Problem, *, epsilon: Array | float, settings: Settings | None = None
) -> Transport:
    """Couple a batch of padded problems without working on most of their padding.

    The same numbers as `couple_many`, for maps of patches, whose problems have a common
    shape and far fewer points than it allows. Sizes are read on the host: not for use
    inside `jit`.

    Args:
        problems: with a leading axis; weights of 0 mark padding, wherever it stands.
        epsilon: entropic regularisation, in units of the squared distance.
        settings: when to stop.

    Returns:
        What `couple_many` returns, in the order given; padding has no shares, and
        potentials of minus infinity.
    """
    kept = [
        np.asarray(w) > 0 for w in (problems.source_weights, problems.target_weights)
    ]
    sides = [np.argsort(~k, axis=1, kind="stable") for k in kept]
    longest = np.maximum(*(k.sum(axis=1) for k in kept))
    sizes = np.maximum(-(-longest // STEP), 1) * STEP
    groups = [np.flatnonzero(sizes == size) for size in np.unique(sizes)]
    parts = [
        _solve_group(
            problems,
            [s[group, : sizes[group[0]]] for s in sides],
            group,
            epsilon,
            settings,
        )
        for group in groups
    ]
    back = np.argsort(np.concatenate(groups))
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves)[back], *parts)


def _solve_group(
    problems: Problem,
    order: list[np.ndarray],
    group: np.ndarray,
    epsilon: Array | float,
    settings: Settings | None,
) -> Transport:
    """Solve the problems of one size; what is of points stands where they stood."""

    def some(name: str) -> Array:
        rows = order[0] if name in SOURCE else order[1]
        return jnp.asarray(getattr(problems, name))[group[:, None], rows]

    smaller = Problem(**{f.name: some(f.name) for f in dataclasses.fields(problems)})
    found = _couple_many(smaller, jnp.asarray(epsilon), settings)
    n, m = problems.source.shape[1], problems.target.shape[1]
    return dataclasses.replace(
        found,
        shares=_placed(found.shares, order[1], m, 0.0),
        log_scale=_placed(found.log_scale, order[0], n, -jnp.inf),
        log_offset=_placed(found.log_offset, order[1], m, -jnp.inf),
    )


def _placed(values: Array, places: np.ndarray, length: int, fill: float) -> Array:
    """Return values `(k, p, ...)` at their places among so many, the others filled."""
    shape = (len(values), length, *values.shape[2:])
    rows = np.arange(len(values))[:, None]
    return jnp.full(shape, fill, values.dtype).at[rows, places].set(values)


@functools.partial(jax.jit, static_argnames=("settings",))
def _couple_many(
    problems: Problem, epsilon: Array, settings: Settings | None
) -> Transport:
    if jax.default_backend() != "cpu":
        return couple_many(problems, epsilon=epsilon, settings=settings)
    # On a CPU even problems of 64 x 64 points are solved faster alone than in step
    # with others that need more steps.
    return lax.map(
        lambda problem: couple(problem, epsilon=epsilon, settings=settings), problems
    )

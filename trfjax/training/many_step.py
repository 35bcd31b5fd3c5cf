"""One step of several sources in one program."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from trfjax.training.step import State, Update, choose, step
from trfjax.training.supervised import Batch

ORDERS = ("auto", "unrolled", "map", "vmap")


@dataclasses.dataclass(frozen=True)
class Program:
    """The static settings of a step of all sources."""

    update: Update
    order: str


@jax.jit(static_argnames=("program",), donate_argnames=("states",))
def many_step(
    states: State,
    alive: Bool[Array, " s"],
    batch: Batch,
    keys: Array,
    *,
    program: Program,
) -> tuple[State, Float[Array, " s"], Bool[Array, " s"]]:
    """Do one step of every source that is alive; all arguments are stacked.

    Args:
        states: of all sources. Their memory is used again: they are gone afterwards.
        alive: which sources take part.
        batch: of all sources, each with its normalisation and weights.
        keys: one per run.
        program: what is done, and in which order (static).

    Returns:
        The states, the losses, and which sources are alive after the step.
    """

    def one(given: tuple[Any, ...]) -> tuple[State, Array, Array]:
        state, alive, batch, key = given
        after, seen, fine = step(state, batch, key, update=program.update)
        return choose(alive, after, state), seen["loss"], alive & fine

    given = (states, alive, batch, keys)
    if program.order == "vmap":
        return jax.vmap(one)(given)
    if program.order == "map":
        return jax.lax.map(one, given)
    return stacked([one(part_of(given, i)) for i in range(len(alive))])


def chosen_order(order: str) -> str:
    """Return the order itself, or for "auto" the one that suits the device."""
    if order != "auto":
        return order
    return "unrolled" if jax.default_backend() == "cpu" else "vmap"


def stacked(trees: Sequence[Any]) -> Any:
    """Return one tree with an axis of sources in front of every leaf."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def part_of(trees: Any, i: int) -> Any:
    """Return the tree of one source."""
    return jax.tree.map(lambda leaf: leaf[i], trees)

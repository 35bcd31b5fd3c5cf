"""All steps of an update as one loop of a compiled program."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Int, PRNGKeyArray

from trfjax.training.step import Seen, State, Update, choose, step


def descend(
    state: State, batch: Any, key: PRNGKeyArray, *, update: Update, steps: int
) -> tuple[State, Seen, Int[Array, ""]]:
    """Do some steps on one batch; a loss that is not finite ends them.

    Args:
        state: to begin with.
        batch: given to every step; a loss that wants parts of it draws them.
        key: folded with the number of every step.
        update: what a step does (static).
        steps: how many (static).

    Returns:
        The state, the last whose loss was finite; what was seen, by step, NaN from the
        step that was not finite; and the number of that step, or -1.
    """

    def one(carry: tuple[State, State, Array], number: Array):
        state, good, stopped = carry
        after, seen, fine = step(state, batch, key, update=update)
        fine &= stopped < 0
        stopped = jnp.where((stopped < 0) & ~fine, number, stopped)
        # The last step moves to where its loss is not known: it is kept all the same,
        # unless the next one finds that loss not finite.
        kept = choose(fine, (after, state), (state, good))
        nothing = jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.nan), seen)
        return (*kept, stopped), choose(fine, seen, nothing)

    begun = (state, state, jnp.full((), -1))
    (state, good, stopped), course = lax.scan(one, begun, jnp.arange(steps))
    return choose(stopped < 0, state, good), course, stopped

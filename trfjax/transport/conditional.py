"""Entropies of a joint distribution of labels."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

from trfjax.arrays import as_float, is_traced, safe_divide, safe_log
from trfjax.typing import ArrayInput


def conditional_entropy(joint: ArrayInput, *, given: int = 0) -> Float[Array, ""]:
    r"""Conditional entropy of one variable given the other, from their joint table.

    $$H(T|S) = -\sum_{s,t} P(s,t) \log \frac{P(s,t)}{P(s)}$$

    Args:
        joint: `(s, t)` non-negative table; it is divided by its sum.
        given: the axis conditioned on, 0 for H(column | row), 1 for H(row | column).

    Returns:
        Entropy in nats, in `[0, log t]`; smaller means better determined. Empty cells
        contribute nothing to the value and have a finite gradient.

    Raises:
        ValueError: a table that is not 2-D, has negative cells, or sums to 0.
    """
    table = as_float("joint", joint)
    if table.ndim != 2:
        raise ValueError(f"joint: expected a 2-D table, got shape {table.shape}")
    if given not in (0, 1):
        raise ValueError(f"given: expected axis 0 or 1, got {given}")
    if not is_traced(table):
        if (table < 0).any():
            raise ValueError("joint: negative cells")
        if not (table > 0).any():
            raise ValueError("joint: every cell is 0, so there is no distribution")
    table = jnp.asarray(table)
    return entropy_given_rows(table if given == 0 else table.T)


def entropy_given_rows(joint: Float[Array, "s t"]) -> Float[Array, ""]:
    """Return H(column | row) of a table, without checks; NaN if it sums to 0."""
    joint = joint / joint.sum()
    rows = joint.sum(axis=1, keepdims=True)
    return -jnp.sum(joint * (safe_log(joint) - safe_log(rows)))


def entropy(weights: Float[Array, " t"]) -> Float[Array, ""]:
    """Return the Shannon entropy in nats of weights divided by their sum."""
    share = safe_divide(weights, weights.sum())
    return -jnp.sum(share * safe_log(share))

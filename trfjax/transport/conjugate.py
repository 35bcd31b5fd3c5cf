"""Conjugate gradients for the two linear systems of the transport."""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from trfjax.arrays import safe_divide


def conjugate_gradients(
    apply: Callable[[Array], Array],
    right: Float[Array, " m"],
    precondition: Callable[[Array], Array],
    *,
    tolerance: float,
    steps: int,
    needed: Array | bool = True,
) -> tuple[Float[Array, " m"], Int[Array, ""]]:
    """Solve `apply(x) = right` for a positive semi-definite operator, from 0.

    Args:
        apply: the operator.
        right: the right side, in its range.
        precondition: an approximate inverse.
        tolerance: of the squared preconditioned residual, against that at the start.
        steps: applications of the operator at most.
        needed: False returns 0 without a step.

    Returns:
        The solution, and how often the operator was applied.
    """

    def going(state: tuple[Array, ...]) -> Array:
        *_, size, count = state
        return (size > tolerance * first) & (count < steps) & needed

    def advance(state: tuple[Array, ...]) -> tuple[Array, ...]:
        x, residual, direction, size, count = state
        image = apply(direction)
        length = safe_divide(size, jnp.sum(direction * image))
        x, residual = x + length * direction, residual - length * image
        scaled = precondition(residual)
        new = jnp.sum(residual * scaled)
        direction = scaled + safe_divide(new, size) * direction
        return x, residual, direction, new, count + 1

    scaled = precondition(right)
    first = jnp.sum(right * scaled)
    begin = (jnp.zeros_like(right), right, scaled, first, jnp.zeros((), jnp.int32))
    x, *_, count = lax.while_loop(going, advance, begin)
    return x, count

"""A Newton step on the semi-dual, by conjugate gradients with the kernel at hand."""

from __future__ import annotations

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from trfjax.arrays import safe_divide
from trfjax.transport.conjugate import conjugate_gradients
from trfjax.transport.kernel import Reader

NEWTON_STEPS = 60  # products of one conjugate-gradient solve at most
NEWTON_TOLERANCE = 0.05  # of the squared residual, against that at the start
# A kernel entry lost to underflow may regrow by exp(2 MOVE) before the kernel is built
# anew: 2 MOVE + 2 log N + log(1/tolerance) must stay below 87, the float32 range.
MOVE = 20.0


def newton_step(
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
    middle = safe_divide(u * u, a)
    inverse = safe_divide(jnp.ones_like(sums), sums)

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

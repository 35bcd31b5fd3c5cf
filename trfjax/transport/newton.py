"""A Newton step on the semi-dual, by conjugate gradients with the kernel at hand."""

from __future__ import annotations

import functools

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from trfjax.arrays import safe_divide
from trfjax.transport.conjugate import conjugate_gradients
from trfjax.transport.kernel import Reader
from trfjax.transport.precondition import WORTHWHILE, preconditioner
from trfjax.transport.problem import Problem

NEWTON_STEPS = 60  # products of one conjugate-gradient solve at most
EASY = 8  # products after which the next solve is given a better preconditioner
NEWTON_TOLERANCE = 0.05  # of the squared residual, against that at the start
# A kernel entry lost to underflow may regrow by exp(2 MOVE) before the kernel is built
# anew: 2 MOVE + 2 log N + log(1/tolerance) must stay below 87, the float32 range.
MOVE = 20.0


def newton_step(
    kernel: Reader,
    u: Float[Array, " n"],
    v: Float[Array, " m"],
    moved: Float[Array, "n t"],
    sums: Float[Array, " m"],
    problem: Problem,
    *,
    hard: Array,
    enough: float,
) -> tuple[Float[Array, " m"], Array, Array]:
    """Return a Newton step on the semi-dual, 0 where the error is small enough.

    Also how many reads it took, and whether the next one should be taken for `hard`.
    """
    a, b = problem.source_weights, problem.target_weights
    gradient = b - sums
    middle = safe_divide(u * u, a)
    if len(a) * len(b) < WORTHWHILE:
        inverse, extra = safe_divide(jnp.ones_like(sums), sums), 0
        precondition = functools.partial(jnp.multiply, inverse)
    else:
        # Where few products do, the exact diagonal costs more than it saves.
        squares = lax.cond(hard, kernel.squares, lambda _: jnp.zeros_like(v), middle)
        extra = hard.astype(jnp.int32)
        precondition = preconditioner(
            v * v * squares, sums, moved, problem.target_labels, a
        )

    def apply(d: Array) -> Array:
        _, back = kernel.read((v * d)[:, None], lambda t, w: w * t[:, 0], middle)
        return sums * d - v * back

    d, products = conjugate_gradients(
        apply,
        gradient,
        precondition,
        tolerance=NEWTON_TOLERANCE,
        steps=NEWTON_STEPS,
        needed=jnp.abs(gradient).sum() > enough,
    )
    d = jnp.where(b > 0, d - jnp.sum(b * d), 0)
    d = d * jnp.minimum(1, MOVE / 2 / jnp.maximum(jnp.abs(d).max(), 1e-30))
    length, tries = _line_search(kernel, u, v, a, b, gradient, d, active=products > 0)
    return length * d, products + tries + extra, hard | (products > EASY)


def _line_search(
    kernel: Reader,
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
        scaling = (v * jnp.exp(length * d))[:, None]
        left, _ = kernel.read(scaling, lambda t: jnp.zeros(len(t)))
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

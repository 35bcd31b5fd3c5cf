"""The kernel of the plan: formed in blocks of rows, kept or formed anew, and read.

Everything here is for one problem with kernel `exp(scale x_i . y_j + offset_j)`,
its rows normalised to the source weights; callers batch with `vmap` or `lax.map`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float


class Reader(NamedTuple):
    """The operations of a kernel K.

    `read(right, middle, *rows)` returns `left = K @ right` and
    `back = middle(left, *rows) @ K`, both in one pass; `squares(weights)` returns
    `weights @ K**2`.
    """

    read: Callable[..., tuple[Array, Array]]
    squares: Callable[[Array], Array]


def split_rows(rows: Array, block: int, fill: float = 0.0) -> Array:
    """Cut an array into equal blocks of rows; the last one is padded."""
    blocks = max(1, -(-len(rows) // block))
    block = -(-len(rows) // blocks)
    width = [(0, blocks * block - len(rows))] + [(0, 0)] * (rows.ndim - 1)
    padded = jnp.pad(rows, width, constant_values=fill)
    return padded.reshape(blocks, block, *rows.shape[1:])


def join_rows(blocks: Array, length: int) -> Array:
    """Undo `split_rows`."""
    return blocks.reshape(-1, *blocks.shape[2:])[:length]


def log_weights(weights: Array) -> Array:
    """Return log weights, minus infinity for padding."""
    return jnp.where(weights > 0, jnp.log(jnp.where(weights > 0, weights, 1)), -jnp.inf)


def scaled_products(
    x: Float[Array, "n d"], y: Float[Array, "m d"], scale: Array
) -> Float[Array, "n m"]:
    """Return `scale x . y`; an error of lower precision would grow with 1/epsilon."""
    return jnp.matmul(x * scale, y.T, precision="highest")


def normalised_rows(
    x: Float[Array, "b d"],
    weights: Float[Array, " b"],
    y: Float[Array, "m d"],
    scale: Array,
    offset: Float[Array, " m"],
) -> tuple[Float[Array, "b m"], Float[Array, " b"]]:
    """Return rows that sum to their weights, and the log scale that makes them so."""
    rows, factor, log_scale = row_exponentials(x, weights, y, scale, offset)
    return rows * factor[:, None], log_scale


def row_exponentials(
    x: Float[Array, "b d"],
    weights: Float[Array, " b"],
    y: Float[Array, "m d"],
    scale: Array,
    offset: Float[Array, " m"],
) -> tuple[Float[Array, "b m"], Float[Array, " b"], Float[Array, " b"]]:
    """Return rows with a maximum of 1, what makes them sum to their weights, its log.

    The log is that of the factor of `exp(scale x . y + offset)`.
    """
    logits = scaled_products(x, y, scale) + offset
    top = jnp.max(logits, axis=1)
    rows = jnp.exp(logits - top[:, None])
    sums = rows.sum(axis=1)
    return rows, weights / sums, log_weights(weights) - jnp.log(sums) - top


def kept_kernel(
    x: Float[Array, "n d"],
    weights: Float[Array, " n"],
    y: Float[Array, "m d"],
    scale: Array,
    offset: Float[Array, " m"],
    *,
    block: int,
) -> tuple[Float[Array, "n m"], Float[Array, " n"]]:
    """Return the row-normalised kernel, built in blocks, and its log scales."""
    if len(x) <= block:
        return normalised_rows(x, weights, y, scale, offset)
    rows, log_scale = lax.map(
        lambda part: normalised_rows(part[0], part[1], y, scale, offset),
        (split_rows(x, block), split_rows(weights, block)),
    )
    return join_rows(rows, len(x)), join_rows(log_scale, len(x))


def kept_reader(kernel: Float[Array, "n m"], *, block: int) -> Reader:
    """Read a kernel that is kept in memory; no more than a block is squared at once."""
    rows_at_once = min(block, len(kernel))

    def read(right: Array, middle: Callable[..., Array], *rows: Array):
        left = jnp.matmul(kernel, right, precision="highest")
        back = jnp.matmul(middle(left, *rows), kernel, precision="highest")
        return left, back

    def squares(weights: Array) -> Array:
        def step(total: Array, start: Array) -> tuple[Array, None]:
            begin = jnp.minimum(start, len(kernel) - rows_at_once)
            rows, weight = (
                lax.dynamic_slice_in_dim(part, begin, rows_at_once)
                for part in (kernel, weights)
            )
            # The last block may overlap the one before.
            weight = jnp.where(begin + jnp.arange(rows_at_once) >= start, weight, 0)
            return total + jnp.matmul(weight, rows * rows, precision="highest"), None

        begin = jnp.zeros(kernel.shape[1], kernel.dtype)
        return lax.scan(step, begin, jnp.arange(0, len(kernel), rows_at_once))[0]

    return Reader(read, squares)


def streamed_log_scale(
    x: Float[Array, "n d"],
    weights: Float[Array, " n"],
    y: Float[Array, "m d"],
    scale: Array,
    offset: Float[Array, " m"],
    *,
    block: int,
) -> Float[Array, " n"]:
    """Return the log scales that normalise the rows, keeping no kernel."""
    log_scale = lax.map(
        lambda part: normalised_rows(part[0], part[1], y, scale, offset)[1],
        (split_rows(x, block), split_rows(weights, block)),
    )
    return join_rows(log_scale, len(x))


def streamed_reader(
    x: Float[Array, "n d"],
    log_scale: Float[Array, " n"],
    y: Float[Array, "m d"],
    scale: Array,
    offset: Float[Array, " m"],
    *,
    block: int,
) -> Reader:
    """Read a kernel that is formed anew, block by block, at every read."""
    points, scales = split_rows(x, block), split_rows(log_scale, block, -jnp.inf)

    def form(xs: Array, shift: Array) -> Array:
        return jnp.exp(scaled_products(xs, y, scale) + shift[:, None] + offset)

    def read(right: Array, middle: Callable[..., Array], *rows: Array):
        def step(back: Array, part: tuple[Any, ...]) -> tuple[Array, Array]:
            xs, shift, *given = part
            kernel = form(xs, shift)
            left = jnp.matmul(kernel, right, precision="highest")
            read = jnp.matmul(middle(left, *given), kernel, precision="highest")
            return back + read, left

        parts = (points, scales, *(split_rows(row, block) for row in rows))
        back, left = lax.scan(step, jnp.zeros_like(offset), parts)
        return join_rows(left, len(x)), back

    def squares(weights: Array) -> Array:
        def step(total: Array, part: tuple[Array, ...]) -> tuple[Array, None]:
            xs, shift, weight = part
            kernel = form(xs, shift)
            return total + jnp.matmul(
                weight, kernel * kernel, precision="highest"
            ), None

        parts = (points, scales, split_rows(weights, block))
        return lax.scan(step, jnp.zeros_like(offset), parts)[0]

    return Reader(read, squares)


def scaled_reader(
    x: Float[Array, "n d"],
    log_scale: Float[Array, " n"],
    y: Float[Array, "m d"],
    scale: Array,
    offset: Float[Array, " m"],
    *,
    kept: bool,
    block: int,
) -> Reader:
    """Read the kernel of given row scales, kept or not."""
    if not kept:
        return streamed_reader(x, log_scale, y, scale, offset, block=block)
    rows = lax.map(
        lambda part: jnp.exp(
            scaled_products(part[0], y, scale) + part[1][:, None] + offset
        ),
        (split_rows(x, block), split_rows(log_scale, block, -jnp.inf)),
    )
    return kept_reader(join_rows(rows, len(x)), block=block)

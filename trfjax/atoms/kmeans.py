"""Weighted k-means: seeding, assignment and Lloyd steps, jitted, in blocks."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

BLOCK = 2048  # points worked on at a time: their distances stay in the cache of a CPU
LANES = 32  # a point is drawn from one of so many parts of a block


@jax.jit
def kmeans(
    points: Float[Array, "n d"],
    weights: Float[Array, " n"],
    uniform: Float[Array, "m 3"],
    *,
    steps: Int[Array, ""] | int,
    used: Int[Array, ""] | int | None = None,
) -> Float[Array, "m d"]:
    """Return centres of weighted points, as many as there are rows of `uniform`.

    Seeds are drawn with probability proportional to weight and squared distance to
    the seeds before (k-means++); Lloyd steps follow. A centre that nothing is nearest
    to moves to one of the points that are worst served. Where the points have fewer
    distinct places than that, some centres coincide.

    Args:
        points: to be grouped.
        weights: of the points; a point of weight 0 is no seed and moves no centre.
        uniform: random numbers in `[0, 1)`, which the seeds are drawn by.
        steps: of Lloyd.
        used: how many of the points count, the first ones; the rest costs no time, so
            that a program serves many numbers of points. All by default.

    Reference:
        Arthur and Vassilvitskii, "k-means++: The Advantages of Careful Seeding",
        SODA 2007.
    """
    blocks, mass = in_blocks(points), in_blocks(weights)
    live = live_blocks(len(points), used)
    centres = _seeds(blocks, mass, live, uniform)
    return lax.fori_loop(0, steps, lambda _, c: _lloyd(blocks, mass, c, live), centres)


@jax.jit
def nearest(
    points: Float[Array, "n d"],
    centres: Float[Array, "m d"],
    *,
    used: Int[Array, ""] | int | None = None,
) -> tuple[Int[Array, " n"], Float[Array, " n"]]:
    """Return the nearest centre of every point, the first of several, and its distance.

    The distance is the squared one. Of points that are not `used`, see `kmeans`, both
    are 0.
    """
    blocks = in_blocks(points)
    begin = (
        jnp.zeros(blocks.shape[:2], jnp.int32),
        jnp.zeros(blocks.shape[:2], points.dtype),
    )

    def assign(k: Any, state: tuple[Array, Array]) -> tuple[Array, Array]:
        found = _assigned(blocks[k], centres)
        return state[0].at[k].set(found[0]), state[1].at[k].set(found[1])

    found = lax.fori_loop(0, live_blocks(len(points), used), assign, begin)
    index, distance = (part.reshape(-1)[: len(points)] for part in found)
    return index, distance


def in_blocks(rows: Array) -> Array:
    """Cut rows into equal blocks, filled up with zeros."""
    blocks, size = _shape(len(rows))
    width = [(0, blocks * size - len(rows))] + [(0, 0)] * (rows.ndim - 1)
    return jnp.pad(rows, width).reshape(blocks, size, *rows.shape[1:])


def live_blocks(n: int, used: Array | int | None) -> Array | int:
    """Return how many blocks hold the used ones of `n` rows."""
    blocks, size = _shape(n)
    return blocks if used is None else -(-used // size)


def _shape(n: int) -> tuple[int, int]:
    """Return the number of blocks and the rows of each."""
    blocks = max(1, -(-n // BLOCK))
    return blocks, -(-n // (blocks * LANES)) * LANES


def _assigned(
    block: Float[Array, "b d"], centres: Float[Array, "m d"]
) -> tuple[Int[Array, " b"], Float[Array, " b"]]:
    half = jnp.sum(centres**2, axis=1) / 2
    far = half[:, None] - jnp.matmul(centres, block.T, precision="highest")
    index = lax.platform_dependent(
        far, cpu=_first_least, default=lambda far: jnp.argmin(far, axis=0)
    ).astype(jnp.int32)
    return index, _squares((block - centres[index]).T)


def _first_least(far: Float[Array, "m b"]) -> Int[Array, " b"]:
    """Return argmin of the columns, row by row: a CPU's reduction is not vectorised."""

    def closer(k: Any, state: tuple[Array, Array]) -> tuple[Array, Array]:
        least, index = state
        better = far[k] < least
        return jnp.where(better, far[k], least), jnp.where(better, k, index)

    begin = jnp.full(far.shape[1], jnp.inf, far.dtype), jnp.zeros(far.shape[1], int)
    return lax.fori_loop(0, len(far), closer, begin)[1]


def _squares(apart: Float[Array, "d b"]) -> Float[Array, " b"]:
    """Return the sum of squares of columns; a product is faster than a reduction."""
    ones = jnp.ones(len(apart), apart.dtype)
    return jnp.matmul(ones, apart**2, precision="highest")


def _seeds(
    blocks: Float[Array, "k b d"],
    weights: Float[Array, "k b"],
    live: Array | int,
    uniform: Float[Array, "m 3"],
) -> Float[Array, "m d"]:
    alone = weights.sum(axis=1)
    farthest = jnp.finfo(blocks.dtype).max ** 0.5
    columns = blocks.swapaxes(1, 2)

    def add(i: Array, state: tuple[Array, ...]) -> tuple[Array, ...]:
        centres, distance, totals = state
        # Where every place is a centre already: draw by weight alone.
        some = jnp.max(totals) > 0
        k = _draw(jnp.where(some, totals, alone), uniform[i, 0])
        mass = jnp.where(some, weights[k] * distance[k], weights[k])
        new = blocks[k, _draw_in_parts(mass, uniform[i, 1:])]

        def closer(k: Any, state: tuple[Array, Array]) -> tuple[Array, Array]:
            distance, totals = state
            before = jnp.where(i == 0, farthest, distance[k])
            now = jnp.minimum(before, _squares(columns[k] - new[:, None]))
            total = jnp.sum(weights[k] * now)
            return distance.at[k].set(now), totals.at[k].set(total)

        found = lax.fori_loop(0, live, closer, (distance, totals))
        return centres.at[i].set(new), *found

    centres = jnp.zeros((len(uniform), blocks.shape[2]), blocks.dtype)
    begin = (centres, jnp.ones_like(weights), alone)
    return lax.fori_loop(0, len(uniform), add, begin)[0]


def _draw(mass: Float[Array, " n"], uniform: Array) -> Array:
    """Draw an index; a sum by a triangle, since a CPU is slow at cumulative ones."""
    total = jnp.matmul(jnp.tri(len(mass), dtype=mass.dtype), mass, precision="highest")
    return jnp.sum(total <= uniform * total[-1]).clip(0, len(mass) - 1)


def _draw_in_parts(mass: Float[Array, " b"], uniform: Float[Array, " 2"]) -> Array:
    """Draw the part, then the index within it: both triangles are small."""
    parts = mass.reshape(LANES, -1)
    part = _draw(parts.sum(axis=1), uniform[0])
    return part * parts.shape[1] + _draw(parts[part], uniform[1])


def _lloyd(
    blocks: Float[Array, "k b d"],
    weights: Float[Array, "k b"],
    centres: Float[Array, "m d"],
    live: Array | int,
) -> Float[Array, "m d"]:
    count = len(centres)

    def add(k: Any, state: tuple[Array, ...]) -> tuple[Array, ...]:
        sums, mass, distance = state
        index, apart = _assigned(blocks[k], centres)
        sums += jax.ops.segment_sum(blocks[k] * weights[k][:, None], index, count)
        mass += jax.ops.segment_sum(weights[k], index, count)
        return sums, mass, distance.at[k].set(apart)

    nothing = jnp.zeros(count, blocks.dtype)
    begin = (jnp.zeros_like(centres), nothing, jnp.zeros_like(weights))
    sums, mass, distance = lax.fori_loop(0, live, add, begin)
    empty = mass <= 0
    means = sums / jnp.where(empty, 1, mass)[:, None]

    def moved(means: Array) -> Array:
        """Move empty centres to the points that are worst served."""
        points = blocks.reshape(-1, blocks.shape[2])
        taken = min(count, len(points))
        worst, place = lax.top_k((weights * distance).reshape(-1), taken)
        turn = jnp.clip(jnp.cumsum(empty) - 1, 0, taken - 1)
        new = jnp.where((worst[turn] > 0)[:, None], points[place[turn]], centres)
        return jnp.where(empty[:, None], new, means)

    return lax.cond(jnp.any(empty), moved, lambda means: means, means)

"""Weighted k-means: seeding, assignment and Lloyd steps, jitted, in blocks."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from trfjax.typing import PRNGKeyArray

BLOCK = 2048  # points assigned at a time: their distances stay in the cache of a CPU


@functools.partial(jax.jit, static_argnames=("count", "steps"))
def kmeans(
    points: Float[Array, "n d"],
    weights: Float[Array, " n"],
    key: PRNGKeyArray,
    *,
    count: int,
    steps: int,
) -> Float[Array, "m d"]:
    """Return `count` centres of weighted points.

    Seeds are drawn with probability proportional to weight and squared distance to
    the seeds before (k-means++); Lloyd steps follow. A centre that nothing is nearest
    to moves to one of the points that are worst served. Where the points have fewer
    distinct places than that, some centres coincide.

    Reference:
        Arthur and Vassilvitskii, "k-means++: The Advantages of Careful Seeding",
        SODA 2007.
    """
    centres = _seeds(points, weights, key, count)
    return lax.fori_loop(0, steps, lambda _, c: _lloyd(points, weights, c), centres)


@jax.jit
def nearest(
    points: Float[Array, "n d"], centres: Float[Array, "m d"]
) -> tuple[Int[Array, " n"], Float[Array, " n"]]:
    """Return the nearest centre of every point, the first of several, and its distance.

    The distance is the squared one.
    """
    n = len(points)
    blocks = max(1, -(-n // BLOCK))
    size = -(-n // blocks)
    padded = jnp.pad(points, ((0, blocks * size - n), (0, 0)))
    half = jnp.sum(centres**2, axis=1) / 2
    order = jnp.arange(len(centres), dtype=jnp.int32)

    def assign(block: Float[Array, "b d"]) -> tuple[Array, Array]:
        far = half[:, None] - jnp.matmul(centres, block.T, precision="highest")
        least = jnp.min(far, axis=0)
        # Several times faster than argmin, whose reduction a CPU does one by one.
        index = jnp.min(jnp.where(far <= least, order[:, None], len(order) - 1), axis=0)
        return index, jnp.sum((block - centres[index]) ** 2, axis=1)

    index, distance = lax.map(assign, padded.reshape(blocks, size, -1))
    return index.reshape(-1)[:n], distance.reshape(-1)[:n]


def _seeds(
    points: Float[Array, "n d"],
    weights: Float[Array, " n"],
    key: PRNGKeyArray,
    count: int,
) -> Float[Array, "m d"]:
    uniform = jax.random.uniform(key, (count,), points.dtype)

    def draw(mass: Array, u: Array) -> Array:
        total = jnp.cumsum(mass)
        return jnp.searchsorted(total, u * total[-1]).clip(0, len(mass) - 1)

    def add(i: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        centres, distance = state
        left = weights * distance
        # Every place is a centre already: draw by weight alone.
        left = jnp.where(jnp.max(left) > 0, left, weights)
        new = points[draw(left, uniform[i])]
        distance = jnp.minimum(distance, jnp.sum((points - new) ** 2, axis=1))
        return centres.at[i].set(new), distance

    first = jnp.ones(len(points), points.dtype)
    centres = jnp.zeros((count, points.shape[1]), points.dtype)
    far = jnp.finfo(points.dtype).max ** 0.5
    return lax.fori_loop(0, count, add, (centres, first * far))[0]


def _lloyd(
    points: Float[Array, "n d"],
    weights: Float[Array, " n"],
    centres: Float[Array, "m d"],
) -> Float[Array, "m d"]:
    index, distance = nearest(points, centres)
    count = len(centres)
    mass = jax.ops.segment_sum(weights, index, count)
    sums = jax.ops.segment_sum(points * weights[:, None], index, count)
    empty = mass <= 0
    means = sums / jnp.where(empty, 1, mass)[:, None]
    taken = min(count, len(points))
    worst, place = lax.top_k(weights * distance, taken)
    turn = jnp.clip(jnp.cumsum(empty) - 1, 0, taken - 1)
    moved = jnp.where((worst[turn] > 0)[:, None], points[place[turn]], centres)
    return jnp.where(empty[:, None], moved, means)

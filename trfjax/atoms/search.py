"""K-means of NumPy rows, padded so that few programs serve all numbers of them."""

from __future__ import annotations

import numpy as np

from trfjax.atoms.kmeans import BLOCK, kmeans, nearest

# Rows of a program; those that are not used cost next to no time.
FEW, SOME, MANY = BLOCK // 2, 4 * BLOCK, 32 * BLOCK


def centres_of(
    points: np.ndarray,
    weights: np.ndarray,
    *,
    count: int,
    steps: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return `(count, d)` centres of `(n, d)` weighted points; see `kmeans`."""
    uniform = rng.random((count, 3), np.float32)
    room = _room(len(points))
    places, mass = (_filled(part, room) for part in (points, weights))
    used = np.int32(len(points))
    return np.asarray(kmeans(places, mass, uniform, steps=np.int32(steps), used=used))


def nearest_of(
    points: np.ndarray, centres: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest centre of every point and its squared distance."""
    index = np.empty(len(points), np.int32)
    distance = np.empty(len(points), np.float32)
    for start in range(0, len(points), MANY):
        part = points[start : start + MANY]
        place = slice(start, start + len(part))
        padded = _filled(part, _room(len(part)))
        found = nearest(padded, centres, used=np.int32(len(part)))
        index[place], distance[place] = (np.asarray(f)[: len(part)] for f in found)
    return index, distance


def _room(n: int) -> int:
    """Return how many rows there is room for."""
    for room in (FEW, SOME):
        if n <= room:
            return room
    return -(-n // MANY) * MANY


def _filled(rows: np.ndarray, room: int) -> np.ndarray:
    """Fill up with zeros."""
    if len(rows) == room:
        return rows
    filled = np.zeros((room, *rows.shape[1:]), rows.dtype)
    filled[: len(rows)] = rows
    return filled

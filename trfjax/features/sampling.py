"""Values of feature maps at single pixels."""

from __future__ import annotations

import jax
import numpy as np
from jaxtyping import Array

from trfjax.typing import AnyArray


def sample_maps(
    tap: AnyArray,
    coordinates: np.ndarray,
    size: tuple[int, int] | np.ndarray,
    *,
    align_corners: bool = False,
) -> np.ndarray:
    """Read maps at pixels of a larger or smaller grid, bilinearly.

    Equal to resizing the maps to `size` and gathering, without the resized maps.

    Args:
        tap: maps `(b, h, w, d)` at their own resolution.
        coordinates: `(n, 3)` integers: map, row and column on the grid of `size`.
        size: height and width of that grid; `(n, 2)` where they differ.
        align_corners: whether the corner samples of both grids coincide, or the cell
            edges do.

    Returns:
        Values `(n, d)`, in the dtype of the maps.

    Raises:
        ValueError: coordinates outside the maps or the grid.
    """
    shape = np.broadcast_to(np.asarray(size), (len(coordinates), 2))
    limit = np.column_stack([np.full(len(coordinates), tap.shape[0]), shape])
    if ((coordinates < 0) | (coordinates >= limit)).any():
        raise ValueError(f"coordinates: outside {tap.shape[0]} maps of size {size}")
    n = len(coordinates)
    # Few shapes, so few compilations: the number of pixels is rounded up.
    room = max(256, 1 << max(n - 1, 0).bit_length()) - n
    image = np.pad(coordinates[:, 0].astype(np.int32), (0, room))
    axes = []
    for axis in (0, 1):
        found = _between(
            coordinates[:, 1 + axis], tap.shape[1 + axis], shape[:, axis], align_corners
        )
        axes.append(tuple(np.pad(array, (0, room)) for array in found))
    if all(not weight.any() for _, _, weight in axes):
        values = _pick(tap, image, axes[0][0], axes[1][0])
    else:
        values = _bilinear(tap, image, axes[0], axes[1])
    return np.asarray(values)[:n]


def _between(
    place: np.ndarray, length: int, target: np.ndarray, align_corners: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the cells below and above each place, and the weight of the one above."""
    if align_corners:
        position = place * ((length - 1) / np.maximum(target - 1, 1))
    else:
        position = np.maximum((place + 0.5) * (length / target) - 0.5, 0)
    low = np.minimum(np.floor(position).astype(np.int32), length - 1)
    high = np.minimum(low + 1, length - 1)
    return low, high, np.where(high > low, position - low, 0).astype(np.float32)


@jax.jit
def _pick(tap: Array, image: Array, row: Array, column: Array) -> Array:
    return tap[image, row, column]


@jax.jit
def _bilinear(
    tap: Array, image: Array, rows: tuple[Array, ...], columns: tuple[Array, ...]
) -> Array:
    top, bottom, down = rows
    left, right, along = columns
    down, along = (w[:, None].astype(tap.dtype) for w in (down, along))

    def at(row: Array) -> Array:
        return (1 - along) * tap[image, row, left] + along * tap[image, row, right]

    return (1 - down) * at(top) + down * at(bottom)

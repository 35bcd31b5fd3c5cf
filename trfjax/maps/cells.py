"""The grid of cells over maps of one size, and the pixels of every cell."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int


@dataclasses.dataclass(frozen=True)
class Grid:
    """Cells of `stride x stride` pixels; those at the far edges may be smaller."""

    height: int
    width: int
    stride: int

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and columns of cells."""
        return -(-self.height // self.stride), -(-self.width // self.stride)

    def spans(self, axis: int, length: int | None = None) -> Int[np.ndarray, "n 2"]:
        """Return first and last pixel (exclusive) of every row or column of cells.

        Args:
            axis: 0 for rows, 1 for columns.
            length: of another map, whose pixels are those at the same share of the
                way; every cell gets at least one.
        """
        size = (self.height, self.width)[axis]
        length = size if length is None else length
        first = np.arange(self.shape[axis]) * self.stride
        last = np.minimum(first + self.stride, size)
        low = first * length // size
        return np.stack([low, np.maximum(-(-last * length // size), low + 1)], axis=1)


@dataclasses.dataclass(frozen=True, eq=False)
class CellPixels:
    """The pixels of some cells, a cell a row; a label of -1 marks an empty place."""

    features: Float[np.ndarray, "k n d"] | Int[np.ndarray, "k n"]  # 0 in empty places
    labels: Int[np.ndarray, "k n"]
    images: Int[np.ndarray, "k n"]  # the image of every place

    @property
    def counts(self) -> Int[np.ndarray, " k"]:
        """Pixels of every cell that count."""
        return (self.labels >= 0).sum(axis=1)

    def chosen(self, cells: np.ndarray) -> CellPixels:
        """Return the pixels of some of the cells."""
        parts = self.features, self.labels, self.images
        return CellPixels(*(part[cells] for part in parts))

    def thinned(self, most: int, rng: np.random.Generator) -> CellPixels:
        """Return at most so many pixels a cell, drawn without replacement."""
        if self.labels.shape[1] <= most:
            return self
        order = np.where(self.labels >= 0, rng.random(self.labels.shape), 2.0)
        kept = np.argpartition(order, most - 1, axis=1)[:, :most]
        features = np.take_along_axis(self.features, kept[..., None], axis=1)
        labels, images = (
            np.take_along_axis(part, kept, axis=1)
            for part in (self.labels, self.images)
        )
        return CellPixels(features, labels, images)


def rows_of_cells(
    grid: Grid, features: np.ndarray, labels: Int[np.ndarray, "b h w"]
) -> Iterator[CellPixels]:
    """Yield the pixels of one row of cells after the other.

    Args:
        grid: of the target.
        features: `(b, h, w, d)` maps, or `(b, h, w)` ids, of the target or of another
            size; then the cells lie at the same share of the way.
        labels: class indices, -1 for a pixel that counts for nothing.
    """
    height, width = labels.shape[1:]
    columns = grid.spans(1, width)
    widest = int((columns[:, 1] - columns[:, 0]).max())
    index = columns[:, :1] + np.arange(widest)  # (cells, widest)
    inside = index < columns[:, 1:]
    index = np.minimum(index, width - 1)
    for top, bottom in grid.spans(0, height):
        yield _row(features[:, top:bottom], labels[:, top:bottom], index, inside)


def _row(
    features: np.ndarray, labels: np.ndarray, index: np.ndarray, inside: np.ndarray
) -> CellPixels:
    def by_cell(maps: np.ndarray) -> np.ndarray:
        """Bring (b, rows, width, ...) maps to (cells, places, ...)."""
        gathered = np.moveaxis(maps[:, :, index], 2, 0)
        return gathered.reshape(len(index), -1, *maps.shape[3:])

    wide = np.broadcast_to(inside, (*labels.shape[:2], *inside.shape))
    held = np.moveaxis(wide, 2, 0).reshape(len(index), -1)
    ids = np.where(held, by_cell(labels), -1)
    counted = ids >= 0
    values = by_cell(features)
    shown = counted[..., None] if features.ndim == 4 else counted
    per_image = ids.shape[1] // len(labels)
    images = np.repeat(np.arange(len(labels)), per_image)
    return CellPixels(
        np.where(shown, values, 0), ids, np.broadcast_to(images, ids.shape)
    )

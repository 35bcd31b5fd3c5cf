"""What maps return: values, where they are defined, what they rest on, and units."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Int

from trfjax.statistics.interval import Interval


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TransferMap:
    """A score on a grid of cells; larger is more transferable, NaN is undefined."""

    values: Float[np.ndarray, "r c"]
    valid: Bool[np.ndarray, "r c"]  # where the value is defined
    counts: Int[np.ndarray, "r c"]  # target pixels that count
    standard_error: Float[np.ndarray, "r c"]  # over target images; NaN for one image
    metric: str
    unit: str
    stride: int  # pixels a cell is high and wide
    size: tuple[int, int]  # height and width of the maps in pixels

    def upsampled(self) -> Float[np.ndarray, "h w"]:
        """Return the value of the cell that every pixel lies in."""
        big = np.repeat(np.repeat(self.values, self.stride, 0), self.stride, 1)
        return big[: self.size[0], : self.size[1]]

    def __str__(self) -> str:
        rows, columns = self.values.shape
        held = self.values[self.valid]
        span = f"{held.min():.3f} to {held.max():.3f}" if held.size else "none defined"
        return (
            f"{self.metric} map, {rows} x {columns} cells of {self.stride} pixels, "
            f"{int(self.valid.sum())} defined: {span} {self.unit}".rstrip()
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassScore:
    """The mean over the pixels of one target class, 95% interval over images."""

    label: int
    pixels: int
    interval: Interval


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class PixelMap:
    """A score pixel by pixel; the mean over the valid ones is the score."""

    values: Float[np.ndarray, "b h w"]  # NaN where ignored
    valid: Bool[np.ndarray, "b h w"]
    score: float
    classes: tuple[ClassScore, ...]  # those present, by label
    metric: str
    unit: str

    def image_means(self) -> Float[np.ndarray, " b"]:
        """Return the mean of every image; NaN without a valid pixel."""
        sums = np.where(self.valid, self.values, 0).sum(axis=(1, 2))
        counts = self.valid.sum(axis=(1, 2))
        return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)

    def __str__(self) -> str:
        return (
            f"{self.metric} of {int(self.valid.sum()):,} pixels in {len(self.values)} "
            f"images: mean {self.score:.4f} {self.unit}".rstrip()
        )

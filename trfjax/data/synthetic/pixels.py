"""What a surface pattern works on: pixels, where they are, and tiles of noise."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from trfjax.data.synthetic.cities import City

SIZE = 256


@dataclasses.dataclass(frozen=True)
class Tiles:
    """Tiles of noise, (SIZE, SIZE) in [-1, 1]."""

    luck: np.ndarray  # independent draws, for what is chosen per window or slab
    grain: np.ndarray
    leafy: np.ndarray
    cloudy: np.ndarray


@functools.lru_cache(maxsize=2)
def tiles(flat: bool = False) -> Tiles:
    """Return the noise; flat: no grain, no stains, foliage in two tones."""
    rng = np.random.default_rng(20240917)
    luck = rng.uniform(-1, 1, (SIZE, SIZE)).astype(np.float32)
    leafy, cloudy = _octaves(rng, (64, 128, 256)), _octaves(rng, (4, 8, 16, 32))
    if not flat:
        return Tiles(luck, luck, leafy, cloudy)
    none = np.zeros_like(luck)
    return Tiles(luck, none, 0.5 * np.sign(leafy), none)


def _octaves(rng: np.random.Generator, cells: tuple[int, ...]) -> np.ndarray:
    """Sum periodic noise of several grid sizes, the coarse ones stronger."""
    total = np.zeros((SIZE, SIZE), np.float32)
    for k in cells:
        grid = rng.uniform(-1, 1, (k, k)).astype(np.float32)
        at = np.arange(SIZE) * (k / SIZE)
        low, share = at.astype(int), (at - at.astype(int)).astype(np.float32)
        share = share * share * (3 - 2 * share)
        high = (low + 1) % k
        rows = grid[low] * (1 - share)[:, None] + grid[high] * share[:, None]
        total += (rows[:, low] * (1 - share) + rows[:, high] * share) / k
    return total / np.abs(total).max()


def sample(tile: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Read a tile at real coordinates, wrapping around."""
    return tile[a.astype(np.int32) & (SIZE - 1), b.astype(np.int32) & (SIZE - 1)]


@dataclasses.dataclass(frozen=True)
class Pixels:
    """Pixels that share a pattern: where they are in the street, in metres."""

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    along: np.ndarray  # distance along an upright surface
    size: np.ndarray  # pixels per metre, across the view
    grain: np.ndarray  # pixels per metre along the surface
    table: dict[str, np.ndarray]
    number: np.ndarray  # the surface of every pixel
    city: City
    tiles: Tiles

    def of(self, column: str) -> np.ndarray:
        """Return a column of the surface table for every pixel."""
        return self.table[column][self.number]


def fade(pixels: np.ndarray, whole: float = 3.0) -> np.ndarray:
    """Return 1 where a detail covers `whole` pixels or more, falling to 0."""
    return np.clip(pixels / whole - 0.25, 0.0, 1.0)


def frac(a: np.ndarray) -> np.ndarray:
    """Return the fractional part, in [0, 1)."""
    return a - np.floor(a)


def scaled(rgb: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Multiply every colour by its factor; colours are (3, n) throughout."""
    return rgb * factor


def cover(
    rgb: np.ndarray,
    where: np.ndarray,
    paint: np.ndarray | tuple,
    share: np.ndarray | float,
) -> None:
    """Mix the colours where a mask holds, in place; `paint` is one or one for each."""
    at = np.flatnonzero(where)
    part = share[at] if isinstance(share, np.ndarray) else np.float32(share)
    rgb[:, at] = toward(np.take(rgb, at, axis=1), paint, part)


def toward(
    rgb: np.ndarray, paint: np.ndarray | tuple, share: np.ndarray | np.float32
) -> np.ndarray:
    """Mix colours (3, n) with one paint, or with (3, n), by its share in 0..1."""
    target = np.asarray(paint, np.float32)
    if target.ndim == 1:
        target = target[:, None]
    return rgb + (target - rgb) * np.asarray(share, np.float32)

"""Smooth random fields in space: what folds, warps and blurs an invented brain."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import ndimage

Coordinates = tuple[np.ndarray, np.ndarray, np.ndarray]  # x, y, z in mm, one shape

_NODES = 48  # of the lattice along every axis
# Nodes in one wavelength. The difference of Gaussians of 1 and 2 nodes passes most at
# k = sqrt(2 ln 4 / 3) = 0.96 a node, which is a wave of 6.5 nodes.
_PER_WAVE = 6.5


@dataclasses.dataclass(frozen=True, eq=False)
class Field:
    """A periodic random field of mean 0 and deviation 1, defined at every point."""

    lattice: np.ndarray  # (n, n, n) float32
    spacing: float  # mm between two nodes

    @classmethod
    def draw(cls, wavelength: float, rng: np.random.Generator) -> Field:
        """Draw a field whose hills lie about `wavelength` mm apart."""
        white = rng.standard_normal((_NODES,) * 3, dtype=np.float32)
        wide = ndimage.gaussian_filter(white, 1, mode="wrap")
        # Without its slow part the field changes sign at even distances.
        band = wide - ndimage.gaussian_filter(white, 2, mode="wrap")
        return cls(band / band.std(), wavelength / _PER_WAVE)

    def __call__(self, where: Coordinates) -> np.ndarray:
        """Return the field at points in mm, in their shape."""
        nodes = np.stack([axis / self.spacing for axis in where])
        return ndimage.map_coordinates(self.lattice, nodes, order=1, mode="grid-wrap")


def cloud(
    shape: tuple[int, ...], sigma: tuple[float, ...], rng: np.random.Generator
) -> np.ndarray:
    """Return a slow field on a grid, mean 0 and deviation 1.

    Args:
        shape: of the grid.
        sigma: smoothing along every axis, in grid steps.
        rng: where it is drawn.
    """
    # Drawn coarse and enlarged: as smooth, and many times cheaper.
    step = [max(int(s // 2), 1) for s in sigma]
    coarse = [-(-n // k) + 4 for n, k in zip(shape, step, strict=True)]
    white = rng.standard_normal(coarse, dtype=np.float32)
    soft = ndimage.gaussian_filter(
        white, [s / k for s, k in zip(sigma, step, strict=True)], mode="reflect"
    )
    soft = (soft - soft.mean()) / max(float(soft.std()), 1e-6)
    enlarged = ndimage.zoom(soft, step, order=1, grid_mode=True, mode="nearest")
    grown = np.asarray(enlarged)
    return grown[
        tuple(slice(2 * k, 2 * k + n) for n, k in zip(shape, step, strict=True))
    ]

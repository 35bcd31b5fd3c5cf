"""From the numbers a scanner stores to grey of 0 to 255."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

Method = Literal["percentile", "zscore", "minmax", "stored"]
Normalisation = Method | tuple[float, float]


def to_grey(voxels: np.ndarray, how: Normalisation) -> np.ndarray:
    """Return a volume as uint8.

    Args:
        voxels: of one modality of one patient, finite.
        how: `"percentile"`: the 0.5th to the 99.5th percentile of the voxels that are
            not 0; `"zscore"`: three standard deviations about their mean; `"minmax"`;
            a pair of numbers: that window, such as `(-160, 240)` Hounsfield units of
            soft tissue; `"stored"`: the voxels are 0 to 255 already. With the first
            two, a voxel of 0 (air, or a skull that was removed) stays 0.

    Raises:
        ValueError: an unknown method, a window that is none, or stored voxels
            outside 0 to 255.
    """
    check_normalisation(how)
    if how == "stored":
        if voxels.min() < 0 or voxels.max() > 255:
            raise ValueError(
                f"normalisation: 'stored' voxels reach from {voxels.min()} to "
                f"{voxels.max()}, not 0 to 255; use 'percentile'"
            )
        return np.round(voxels).astype(np.uint8)
    values = np.asarray(voxels, np.float32)
    low, high = _range(values, how)
    scaled = (values - low) / max(high - low, 1e-12)
    grey = np.round(255 * np.clip(scaled, 0, 1)).astype(np.uint8)
    return np.where(values == 0, np.uint8(0), grey) if how in _OF_TISSUE else grey


_OF_TISSUE = ("percentile", "zscore")


def _range(values: np.ndarray, how: Normalisation) -> tuple[float, float]:
    """Return what becomes black and what becomes white."""
    if isinstance(how, tuple):
        return how
    tissue = values[values != 0] if how in _OF_TISSUE else values
    if tissue.size == 0:
        return 0.0, 1.0
    if how == "percentile":
        low, high = np.percentile(tissue, (0.5, 99.5))
    elif how == "zscore":
        middle, reach = float(tissue.mean()), 3 * float(tissue.std())
        low, high = middle - reach, middle + reach
    else:
        low, high = tissue.min(), tissue.max()
    return float(low), float(high)


def check_normalisation(how: Normalisation) -> None:
    """Refuse a method that does not exist.

    Raises:
        ValueError: an unknown name, or a window without a width.
    """
    if isinstance(how, tuple):
        if len(how) != 2 or not how[0] < how[1]:
            raise ValueError(f"normalisation: {how} is no window (low, high)")
    elif how not in get_args(Method):
        raise ValueError(
            f"normalisation: unknown {how!r}; available: "
            f"{', '.join(get_args(Method))}, or a window (low, high)"
        )

"""Where a source errs on the target before it has learnt it, and how near borders."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Int

from trfjax.features.pixels import near_boundary
from trfjax.maps.means import ratio_mean

RADIUS = 3  # of the band along borders of classes, in pixels


def prediction_errors(
    predictions: Int[np.ndarray, "b h w"], labels: Int[np.ndarray, "b h w"]
) -> Bool[np.ndarray, "b h w"]:
    """Return where the best reading of the source classes is wrong.

    Every source class is read as the target class that most of its pixels have, so
    that sources of any classes can be shown. A label of -1 is never wrong.

    Args:
        predictions: source classes.
        labels: target classes, -1 where ignored.
    """
    valid = labels >= 0
    counts = np.zeros((int(predictions.max()) + 1, int(labels.max()) + 1))
    np.add.at(counts, (predictions[valid], labels[valid]), 1)
    return valid & (counts.argmax(axis=1)[predictions] != labels)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """The mean over one part of the pixels, with its standard error over images."""

    mean: float
    standard_error: float
    pixels: int


def border_and_inside(
    values: Float[np.ndarray, "b h w"] | Bool[np.ndarray, "b h w"],
    labels: Int[np.ndarray, "b h w"],
    *,
    radius: int = RADIUS,
) -> tuple[Part, Part]:
    """Return the mean within `radius` pixels of a border of classes, and elsewhere.

    Args:
        values: of every pixel: errors, or the scores of `pixel_map`.
        labels: target classes, -1 where ignored.
        radius: of the band, in pixels.
    """
    band = np.stack([near_boundary(one, ignore=-1, radius=radius) for one in labels])
    return _part(values, band), _part(values, (labels >= 0) & ~band)


def _part(values: np.ndarray, held: np.ndarray) -> Part:
    counts = held.sum(axis=(1, 2))
    sums = np.where(held, values, 0).sum(axis=(1, 2), dtype=np.float64)
    mean, error = ratio_mean(sums, counts)
    return Part(mean=float(mean), standard_error=float(error), pixels=int(counts.sum()))

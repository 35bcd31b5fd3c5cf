"""How well two masks of one structure agree: overlap, lesions, surfaces."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy import ndimage

Mask = np.ndarray  # bool, a slice or a volume


def dice(predicted: Mask, truth: Mask) -> float:
    r"""Return the Dice overlap, 0 to 1; NaN where both masks are empty.

    $$\frac{2 |A \cap B|}{|A| + |B|}$$

    Reference:
        Dice, "Measures of the Amount of Ecologic Association Between Species",
        Ecology 26, 1945.
    """
    _check(predicted, truth)
    total = int(predicted.sum()) + int(truth.sum())
    return 2 * int((predicted & truth).sum()) / total if total else float("nan")


@dataclasses.dataclass(frozen=True)
class Lesions:
    """Agreement lesion by lesion."""

    dice: float  # mean over true and invented lesions; NaN where there is none
    found: int  # true lesions that a predicted one touches
    missed: int
    invented: int  # predicted lesions that touch no true one


def lesions(predicted: Mask, truth: Mask) -> Lesions:
    r"""Compare masks lesion by lesion; a lesion is what hangs together.

    $$\frac{\sum_{l} \mathrm{Dice}(l, P_l)}{\text{found + missed + invented}}$$

    with P_l the predicted lesions that touch the true lesion l, corners included. Large
    lesions do not outweigh small ones.

    Reference:
        The lesion-wise Dice of the BraTS 2023 challenges, without its dilation of the
        true lesions.
    """
    _check(predicted, truth)
    around = np.ones((3,) * truth.ndim)
    true, count = ndimage.label(truth, around)  # pyright: ignore[reportGeneralTypeIssues]
    guess, guesses = ndimage.label(predicted, around)  # pyright: ignore[reportGeneralTypeIssues]
    scores, touched = [], set()
    for lesion in range(1, count + 1):
        inside = true == lesion
        hit = set(np.unique(guess[inside]).tolist()) - {0}
        touched |= hit
        scores.append(dice(np.isin(guess, list(hit)), inside) if hit else 0.0)
    invented = guesses - len(touched)
    found = sum(score > 0 for score in scores)
    total = count + invented
    mean = sum(scores) / total if total else float("nan")
    return Lesions(mean, found, count - found, invented)


@dataclasses.dataclass(frozen=True)
class Surfaces:
    """Distances between two surfaces, in the unit of the spacing."""

    mean: float  # average symmetric surface distance
    hd95: float  # 95th percentile of the larger direction


def surfaces(predicted: Mask, truth: Mask, spacing: Sequence[float]) -> Surfaces:
    r"""Return how far the surfaces of two masks lie apart.

    The mean is over the surface voxels of both masks of the distance to the other
    surface; HD95 is the larger of the 95th percentiles of the two directions. A surface
    voxel is one of the mask that has a neighbour outside.

    Args:
        predicted: mask.
        truth: mask.
        spacing: distance between two voxels along every axis, such as mm.

    Returns:
        The distances; infinite where one mask is empty, NaN where both are.

    Reference:
        Taha and Hanbury, "Metrics for Evaluating 3D Medical Image Segmentation",
        BMC Medical Imaging 15, 2015.
    """
    _check(predicted, truth)
    if len(spacing) != truth.ndim or not all(s > 0 for s in spacing):
        raise ValueError(
            f"spacing: {tuple(spacing)} for masks of {truth.ndim} axes; give one "
            "distance above 0 for each"
        )
    empty = (not predicted.any(), not truth.any())
    if any(empty):
        value = float("nan") if all(empty) else float("inf")
        return Surfaces(value, value)
    edge, true_edge = _edge(predicted), _edge(truth)
    to_truth = _away(true_edge, spacing)[edge]
    to_predicted = _away(edge, spacing)[true_edge]
    both = np.concatenate([to_truth, to_predicted])
    worst = max(np.percentile(to_truth, 95), np.percentile(to_predicted, 95))
    return Surfaces(float(both.mean()), float(worst))


def _edge(mask: Mask) -> Mask:
    """Return the voxels of a mask that have a neighbour outside."""
    return mask & np.logical_not(ndimage.binary_erosion(mask))


def _away(edge: Mask, spacing: Sequence[float]) -> np.ndarray:
    """Return how far every voxel is from the nearest of the edge."""
    apart = ndimage.distance_transform_edt(np.logical_not(edge), sampling=spacing)
    return np.asarray(apart)


def _check(predicted: Mask, truth: Mask) -> None:
    if predicted.dtype != bool or truth.dtype != bool:
        raise TypeError(
            f"predicted, truth: masks are bool, not {predicted.dtype} and {truth.dtype}"
        )
    if predicted.shape != truth.shape:
        raise ValueError(
            f"predicted, truth: shapes {predicted.shape} and {truth.shape} differ"
        )

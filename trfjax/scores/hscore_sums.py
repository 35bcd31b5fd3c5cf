"""The H-score from sums over images, in float64."""

from __future__ import annotations

import warnings

import numpy as np
from jaxtyping import Float

from trfjax.atoms.moments import Moments
from trfjax.errors import ScoreWarning
from trfjax.scores.whitening import (
    default_rcond,
)


def saturated(n: int, rank: int) -> str:
    """Say that there are too few instances for so many features."""
    return (
        f"h_score: {n} instances for features of rank {rank}; below {3 * rank} the "
        "value is mostly chance. Use shrunk_h_score, or reduce the features first."
    )


def h_score_of_moments(
    moments: Moments, multiplicities: Float[np.ndarray, "b i"]
) -> Float[np.ndarray, " b"]:
    """H-score of all pixels of every resample, in float64; see `h_score`.

    Args:
        moments: counts, sums and products of the features by image.
        multiplicities: how often every image counts in a resample.

    Returns:
        NaN for a resample without a pixel.
    """
    cut = default_rcond(moments.sums.shape[2]) ** 2
    pooled = list(zip(*moments.pooled(multiplicities), strict=True))
    found = [score_of_sums(*parts, cut) for parts in pooled]
    for (counts, *_), (_, rank) in zip(pooled[:1], found, strict=False):
        if 0 < counts.sum() < 3 * rank:
            warnings.warn(
                saturated(round(float(counts.sum())), rank), ScoreWarning, stacklevel=2
            )
    return np.array([score for score, _ in found])


def score_of_sums(
    counts: np.ndarray, sums: np.ndarray, products: np.ndarray, cut: float
) -> tuple[float, int]:
    """Return the H-score and the rank of the features; NaN without an instance."""
    total = counts.sum()
    if not total > 0:
        return float("nan"), 0
    mean = sums.sum(axis=0) / total
    covariance = products / total - np.outer(mean, mean)
    # A feature that only rounding varies is constant; the others get one size.
    variance = np.diag(covariance)
    steps = (4 * np.finfo(np.float32).eps * mean) ** 2
    varies = variance > np.maximum(steps, 0)
    factor = np.where(varies, 1 / np.sqrt(np.where(varies, variance, 1)), 0)
    covariance = covariance * np.outer(factor, factor)
    present = counts > 0
    means = (sums[present] / counts[present, None] - mean) * factor
    between = (means * (counts[present] / total)[:, None]).T @ means
    values, vectors = np.linalg.eigh(covariance)
    # Rounding of the products fakes eigenvalues, however exact the features are.
    cut = max(cut, default_rcond(len(values), exact=True))
    kept = values > max(values[-1], 0) * cut
    turned = vectors[:, kept]
    score = np.sum((turned.T @ between * turned.T) / values[kept, None])
    return float(score), int(kept.sum())

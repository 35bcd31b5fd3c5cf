"""Confidence intervals from resampled images."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from trfjax.typing import ArrayInput

IntervalMethod = Literal["bca", "percentile"]


def bootstrap_interval(
    score: float,
    replicates: ArrayInput,
    left_out: ArrayInput = (),
    *,
    level: float = 0.9,
    method: IntervalMethod = "bca",
) -> tuple[float, float]:
    r"""Return the interval of a score from its values on resampled images.

    `"percentile"` takes quantiles of the replicates. `"bca"` moves them, by the share
    of replicates below the score (bias: the entropy of few images is too low in the
    mean, and that of resampled images lower still) and by the skewness of the values
    with one image left out (acceleration):

    $$\alpha' = \Phi\Bigl(z_0 + \frac{z_0 + z_\alpha}{1 - a (z_0 + z_\alpha)}\Bigr)$$

    With n images the spread of resampled means is $\sqrt{(n-1)/n}$ of what it should
    be, and normal quantiles are too short by as much as Student's are longer; where
    `left_out` says how many images there are, the shares are widened by both.

    Replicates that are NaN, on which the score is not defined, are left out.

    Args:
        score: on all images.
        replicates: on images drawn with replacement.
        left_out: with each image left out once; without them nothing is widened, and
            `"bca"` corrects the bias alone.
        level: the share of intervals that should hold the value of the population.
        method: `"bca"` or `"percentile"`.

    Returns:
        Both ends; NaN with fewer than two replicates.

    Raises:
        ValueError: a level outside (0, 1), or another method.

    Reference:
        Efron, "Better Bootstrap Confidence Intervals", JASA 82, 1987, Section 4; for
        few images: Hesterberg, "What Teachers Should Know About the Bootstrap", The
        American Statistician 69, 2015, Section 5.3.
    """
    if not 0 < level < 1:
        raise ValueError(f"level: {level} is not within (0, 1)")
    if method not in ("bca", "percentile"):
        raise ValueError(f"method: {method!r} is neither 'bca' nor 'percentile'")
    values = np.asarray(replicates, float)
    values = values[np.isfinite(values)]
    if len(values) < 2 or not np.isfinite(score):
        return float("nan"), float("nan")
    left_out = np.asarray(left_out, float)
    z = _reach(level, len(left_out)) * np.array([-1.0, 1.0])
    if method == "bca":
        z = _moved(z, score, values, left_out)
    low, high = np.quantile(values, norm.cdf(z))
    return float(low), float(high)


def _reach(level: float, images: int) -> float:
    """Return how many standard deviations an interval reaches to either side."""
    if images < 2:
        return float(norm.ppf((1 + level) / 2))
    reach = student.ppf((1 + level) / 2, images - 1)
    return float(reach * np.sqrt(images / (images - 1)))


def _moved(
    z: np.ndarray, score: float, values: np.ndarray, left_out: np.ndarray
) -> np.ndarray:
    """Return the normal quantiles of the shares that BCa takes."""
    below = np.mean(values < score) + np.mean(values == score) / 2
    least = 0.5 / len(values)
    bias = norm.ppf(np.clip(below, least, 1 - least))
    left_out = left_out[np.isfinite(left_out)]
    skewness = 0.0
    if len(left_out) > 1:
        apart = left_out.mean() - left_out
        size = np.sum(apart**2)
        skewness = float(np.sum(apart**3) / (6 * size**1.5)) if size > 0 else 0.0
    z = bias + z
    return bias + z / np.maximum(1 - skewness * z, 1e-3)

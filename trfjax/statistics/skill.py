"""What a correlation is worth: held against the noise, and against knowing nothing."""

from __future__ import annotations

import math

import numpy as np

TIE = 1e-9  # correlations that are closer are equal, up to roundoff


def ceiling(agreement: float, repeats: int = 1) -> float:
    r"""Return the largest correlation to expect with the mean of some repeats.

    $$\sqrt{\frac{k r}{1 + (k - 1) r}}$$

    with the correlation r of two repeats: the root of the reliability of the mean of k
    (Spearman and Brown). NaN where repeats do not agree at all.

    Args:
        agreement: correlation of two repeats of the measurement; see `reliability`.
        repeats: how many are averaged.

    Reference:
        Spearman, "The Proof and Measurement of Association between Two Things", 1904;
        "Correlation calculated from faulty data", British Journal of Psychology 3,
        1910.
    """
    if not agreement > 0:
        return math.nan
    return math.sqrt(repeats * agreement / (1 + (repeats - 1) * agreement))


def corrected_for_noise(correlation: float, highest: float) -> float:
    """Return what a correlation would be with a measurement free of noise.

    The correlation over the `ceiling`; at most 1 in size. NaN without a ceiling.
    """
    if not highest > 0:
        return math.nan
    return float(np.clip(correlation / highest, -1, 1))


def skill(correlation: float, static: float, highest: float) -> float:
    r"""Return how much of the way from the static ranking to the ceiling a score goes.

    $$\frac{\rho - \rho_{\text{static}}}{\rho_{\text{ceiling}} - \rho_{\text{static}}}$$

    Args:
        correlation: of the score.
        static: of the static ranking, which knows nothing of the target.
        highest: the `ceiling`.

    Returns:
        1 at the ceiling, 0 where the score is as good as the static ranking, negative
        where it is worse; NaN where there is no way to go.
    """
    way = highest - static
    return (correlation - static) / way if way > TIE else math.nan

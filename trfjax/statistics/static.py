"""The static ranking: what a source did on other targets, which any score must beat."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata


def relative_ranks(
    measured: Float[np.ndarray, "targets sources"],
) -> Float[np.ndarray, "targets sources"]:
    r"""Return the place of every source on every target, in (0, 1), 1 the best.

    $(r - \tfrac12) / M$ with the average rank among the M sources of that target; NaN
    where a source was not measured.
    """
    found = np.full(measured.shape, np.nan)
    for row, values in zip(found, measured, strict=True):
        known = np.isfinite(values)
        if known.any():
            row[known] = (rankdata(values[known]) - 0.5) / known.sum()
    return found


def static_ranking(
    measured: Float[np.ndarray, "targets sources"],
) -> Float[np.ndarray, "targets sources"]:
    """Return for every target the mean relative rank of a source on the other ones.

    It knows nothing of the target. NaN for a source that no other target was measured
    with, and where the target itself has no measurement of it.

    Args:
        measured: larger is better; NaN where there is none.

    Reference:
        Audits of such pools: "How NOT to benchmark your SITE metric", 2025; "Back to
        the Basics on Predicting Transfer Performance", 2024.
    """
    ranks = relative_ranks(np.asarray(measured, np.float64))
    known = np.isfinite(ranks)
    filled = np.where(known, ranks, 0)
    others = known.sum(axis=0) - known
    total = filled.sum(axis=0) - filled
    mean = np.where(others > 0, total / np.maximum(others, 1), np.nan)
    return np.where(known, mean, np.nan)

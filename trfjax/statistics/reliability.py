"""How well repeats of a measurement agree on the order of the sources."""

from __future__ import annotations

import itertools

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata


def reliability(values: Float[np.ndarray, "sources repeats"]) -> float:
    """Return how well repeats agree on the order of the sources, at most 1.

    The mean Spearman correlation over all pairs of repeats. No score can be expected
    to predict one repeat much better than its square root.

    Raises:
        ValueError: fewer than two sources or repeats, or values that are not finite.
    """
    values = np.asarray(values, float)
    if values.ndim != 2 or min(values.shape) < 2:
        raise ValueError(
            f"values: shape {values.shape}; reliability needs at least 2 sources "
            "(rows) and 2 repeats (columns)"
        )
    if not np.isfinite(values).all():
        raise ValueError("values: some are NaN or infinite")
    ranks = rankdata(values, axis=0)
    if (np.ptp(ranks, axis=0) == 0).any():
        return float("nan")  # a repeat in which all sources are equal orders nothing
    correlation = np.corrcoef(ranks, rowvar=False)
    pairs = itertools.combinations(range(values.shape[1]), 2)
    return float(np.mean([correlation[i, j] for i, j in pairs]))

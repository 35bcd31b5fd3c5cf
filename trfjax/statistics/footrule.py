"""How far the first choices of a ranking lie from where they belong."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata


def footrule(
    scores: Float[np.ndarray, " s"], measured: Float[np.ndarray, " s"], top: int
) -> float:
    r"""Spearman's footrule of the first choices; 0 or more, smaller is better.

    $$\sum_{i \le k} |i - r(s_i)|$$

    with s_i the source that the score puts at place i and r its place by what was
    measured. Ties share the mean of their places.

    Args:
        scores: of every source; larger is better.
        measured: of the same sources; larger is better.
        top: k, how many first choices are judged.

    Raises:
        ValueError: vectors of different lengths, values that are not finite, or more
            choices than sources.

    Reference:
        Diaconis and Graham, "Spearman's Footrule as a Measure of Disarray", JRSS B 39,
        1977; at the top of a list.
    """
    scores, measured = np.asarray(scores, float), np.asarray(measured, float)
    if scores.shape != measured.shape or scores.ndim != 1:
        raise ValueError(
            f"scores, measured: shapes {scores.shape} and {measured.shape}; give one "
            "value of each for every source"
        )
    if not (np.isfinite(scores).all() and np.isfinite(measured).all()):
        raise ValueError("scores, measured: some are NaN or infinite")
    if not 1 <= top <= len(scores):
        raise ValueError(f"top: {top} of {len(scores)} sources")
    guessed, true = rankdata(-scores), rankdata(-measured)
    first = np.argsort(guessed, kind="stable")[:top]
    return float(np.abs(guessed - true)[first].sum())

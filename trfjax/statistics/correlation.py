"""How well scores predict measured performances, over a pool of models.

Every function takes one score and one performance a model, larger being better, and
returns a float: NaN where it is undefined (fewer than two models, or all scores or all
performances equal). Where tied scores leave the choice of a model open, the value is
the mean over all ways to break the ties.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.stats

from trfjax.statistics.choice import footrule, ndcg, recall_at_k, regret_at_1, rel_at_k
from trfjax.statistics.pools import checked_pool, undefined
from trfjax.typing import ArrayInput


class Estimate(NamedTuple):
    """A measure and its bootstrap interval over models."""

    value: float
    low: float
    high: float


def pearson(scores: ArrayInput, performance: ArrayInput) -> float:
    """Return the linear correlation, in [-1, 1]."""
    s, a = checked_pool(scores, performance)
    if undefined(s, a):
        return math.nan
    s, a = s - s.mean(), a - a.mean()
    lengths = float(np.linalg.norm(s)) * float(np.linalg.norm(a))
    return float(np.clip(s @ a / lengths, -1, 1)) if lengths > 0 else math.nan


def spearman(scores: ArrayInput, performance: ArrayInput) -> float:
    """Return the linear correlation of the average ranks, in [-1, 1]."""
    s, a = checked_pool(scores, performance)
    return pearson(scipy.stats.rankdata(s), scipy.stats.rankdata(a))


def kendall(scores: ArrayInput, performance: ArrayInput) -> float:
    """Return Kendall's tau-b, corrected for ties, in [-1, 1]."""
    s, a = checked_pool(scores, performance)
    if undefined(s, a):
        return math.nan
    if len(s) == 2:  # SciPy's p-value divides by 0
        return float(np.sign((s[1] - s[0]) * (a[1] - a[0])))
    found: Any = scipy.stats.kendalltau(s, a, method="asymptotic")
    return float(found.statistic)


def weighted_kendall(scores: ArrayInput, performance: ArrayInput) -> float:
    r"""Return the weighted Kendall correlation, in [-1, 1].

    $$\tau_w = \frac{\sum_{i<j} w_{ij} \operatorname{sgn}(\Delta s)
    \operatorname{sgn}(\Delta a)}{\sqrt{\sum w_{ij} [\Delta s \ne 0] \sum w_{ij}
    [\Delta a \ne 0]}}, \qquad w_{ij} = \frac{1}{r_i + 1} + \frac{1}{r_j + 1}$$

    with `r` the rank from the top, 0 for the best. The mean of the value with ranks by
    score and with ranks by performance, ties broken by the other one.

    Reference:
        Vigna, "A Weighted Correlation Index for Rankings with Ties", WWW 2015.
    """
    s, a = checked_pool(scores, performance)
    if undefined(s, a):
        return math.nan
    found: Any = scipy.stats.weightedtau(s, a)
    return float(found.statistic)


def judge(
    scores: ArrayInput,
    performance: ArrayInput,
    *,
    k: int = 3,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Return every measure with a bootstrap interval over the models.

    Args:
        scores: one a model.
        performance: one a model, not negative.
        k: for the measures of the first k.
        resamples: pools drawn with replacement for the percentile intervals.
        level: probability the interval is to hold.
        seed: of the resampling.

    Returns:
        By name: the value on the pool and the ends of its interval. The ends are NaN
        where the measure is undefined on the pool or on most of the resamples.

    Raises:
        ValueError: arrays that do not fit, or parameters out of range.
    """
    s, a = checked_pool(scores, performance)
    if not 0 < level < 1:
        raise ValueError(f"level: {level} is not between 0 and 1")
    if resamples < 1:
        raise ValueError(f"resamples: {resamples} is less than 1")
    measures: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
        "pearson": pearson,
        "spearman": spearman,
        "kendall": kendall,
        "weighted_kendall": weighted_kendall,
        "ndcg": ndcg,
        "footrule": lambda s, a: footrule(s, a, normalised=True),
        "rel@1": rel_at_k,
        f"rel@{k}": lambda s, a: rel_at_k(s, a, k=k),
        f"recall@{k}": lambda s, a: recall_at_k(s, a, k=k),
        "regret@1": regret_at_1,
        "relative_regret@1": lambda s, a: regret_at_1(s, a, relative=True),
    }
    rng = np.random.default_rng(seed)
    picks = rng.integers(len(s), size=(resamples, len(s))) if len(s) else []
    result = {}
    for name, measure in measures.items():
        value = measure(s, a)
        drawn = [measure(s[i], a[i]) for i in picks] if not math.isnan(value) else []
        result[name] = Estimate(value, *_interval(np.array(drawn), level))
    return result


def _interval(drawn: np.ndarray, level: float) -> tuple[float, float]:
    known = drawn[~np.isnan(drawn)]
    if 2 * len(known) <= len(drawn):
        return math.nan, math.nan
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)

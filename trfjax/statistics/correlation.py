"""How well scores predict measured performances, over a pool of models.

Every function takes one score and one performance a model, larger being better, and
returns a float: NaN where it is undefined (fewer than two models, or all scores or all
performances equal). Where tied scores leave the choice of a model open, the value is
the mean over all ways to break the ties.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
import scipy.stats

from trfjax.arrays import to_array
from trfjax.typing import ArrayInput


class Estimate(NamedTuple):
    """A measure and its bootstrap interval over models."""

    value: float
    low: float
    high: float


def pearson(scores: ArrayInput, performance: ArrayInput) -> float:
    """Return the linear correlation, in [-1, 1]."""
    s, a = _pool(scores, performance)
    if _undefined(s, a):
        return math.nan
    s, a = s - s.mean(), a - a.mean()
    lengths = float(np.linalg.norm(s)) * float(np.linalg.norm(a))
    return float(np.clip(s @ a / lengths, -1, 1)) if lengths > 0 else math.nan


def spearman(scores: ArrayInput, performance: ArrayInput) -> float:
    """Return the linear correlation of the average ranks, in [-1, 1]."""
    s, a = _pool(scores, performance)
    return pearson(scipy.stats.rankdata(s), scipy.stats.rankdata(a))


def kendall(scores: ArrayInput, performance: ArrayInput) -> float:
    """Return Kendall's tau-b, corrected for ties, in [-1, 1]."""
    s, a = _pool(scores, performance)
    if _undefined(s, a):
        return math.nan
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
    s, a = _pool(scores, performance)
    if _undefined(s, a):
        return math.nan
    found: Any = scipy.stats.weightedtau(s, a)
    return float(found.statistic)


def ndcg(
    scores: ArrayInput,
    performance: ArrayInput,
    *,
    k: int | None = None,
    gain: Literal["linear", "exponential"] = "linear",
) -> float:
    r"""Return the discounted gain of the order by score over that of the best order.

    $$\frac{\sum_{r \le k} g(a_{(r)}) / \log_2(r + 1)}{\text{the same, ordered by } a}$$

    Args:
        scores: one a model.
        performance: one a model, not negative for the linear gain.
        k: how many places count; all by default.
        gain: $g(a) = a$, or $2^a - 1$.

    Returns:
        In [0, 1]; NaN also where no performance has a gain.

    Raises:
        ValueError: a negative gain, or a `k` below 1.

    Reference:
        Jarvelin and Kekalainen, "Cumulated gain-based evaluation of IR techniques",
        ACM TOIS 20, 2002; ties: McSherry and Najork, ECIR 2008.
    """
    s, a = _pool(scores, performance)
    k = len(s) if k is None else _places("k", k)
    if gain not in ("linear", "exponential"):
        raise ValueError(f"gain: {gain!r} is neither 'linear' nor 'exponential'")
    if (a < 0).any():
        raise ValueError(f"performance: {a.min():g} has a negative gain")
    if _undefined(s, a):
        return math.nan
    gains = a if gain == "linear" else np.exp2(a) - 1
    discount = np.where(np.arange(len(s)) < k, 1 / np.log2(np.arange(len(s)) + 2), 0)
    # Models of one score share the discounts of the places they fill.
    order = np.argsort(-s, kind="stable")
    group = np.unique(-s[order], return_inverse=True)[1]
    shared = np.bincount(group, discount) / np.bincount(group)
    best = np.sort(gains)[::-1] @ discount
    return float(min(gains[order] @ shared[group] / best, 1)) if best > 0 else math.nan


def footrule(
    scores: ArrayInput,
    performance: ArrayInput,
    *,
    top: int | None = None,
    normalised: bool = False,
) -> float:
    """Return the total displacement of ranks; 0 is best.

    Args:
        scores: one a model.
        performance: one a model.
        top: sum over the models of that many first places by performance (ties with
            the last of them included); over all by default.
        normalised: divide by `m**2 // 2`, the most that m models can reach.
    """
    s, a = _pool(scores, performance)
    top = len(s) if top is None else _places("top", top)
    if _undefined(s, a):
        return math.nan
    ranks_s, ranks_a = scipy.stats.rankdata(-s), scipy.stats.rankdata(-a)
    total = float(np.abs(ranks_s - ranks_a)[_true_top(a, top)].sum())
    return total / (len(s) ** 2 // 2) if normalised else total


def rel_at_k(scores: ArrayInput, performance: ArrayInput, *, k: int = 1) -> float:
    """Return the best performance among the k best scores, over the best of all.

    NaN also where the best performance is not positive.
    """
    s, a = _pool(scores, performance)
    k = _places("k", k)
    if _undefined(s, a) or a.max() <= 0:
        return math.nan
    k = min(k, len(s))
    edge = np.sort(s)[-k]
    sure, tied = a[s > edge], np.sort(a[s == edge])[::-1]
    draws = k - len(sure)  # of the tied ones, each subset as likely
    ways = [math.comb(len(tied) - i - 1, draws - 1) for i in range(len(tied))]
    chance = np.array(ways) / math.comb(len(tied), draws)  # that the i-th is the best
    floor = sure.max() if len(sure) else -np.inf
    return float(chance @ np.maximum(tied, floor) / a.max())


def recall_at_k(scores: ArrayInput, performance: ArrayInput, *, k: int = 1) -> float:
    """Return 1 if the model of the best score is among the k truly best, else 0."""
    s, a = _pool(scores, performance)
    k = _places("k", k)
    if _undefined(s, a):
        return math.nan
    return float(_true_top(a, k)[s == s.max()].mean())


def regret_at_1(
    scores: ArrayInput, performance: ArrayInput, *, relative: bool = False
) -> float:
    """Return what choosing the best score loses in performance; 0 is best.

    With `relative`, over the best performance: NaN where that is not positive.
    """
    s, a = _pool(scores, performance)
    if _undefined(s, a) or (relative and a.max() <= 0):
        return math.nan
    regret = float(a.max() - a[s == s.max()].mean())
    return regret / float(a.max()) if relative else regret


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
    s, a = _pool(scores, performance)
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


def _pool(scores: ArrayInput, performance: ArrayInput) -> tuple[np.ndarray, np.ndarray]:
    """Check one pool of models and return it in float64."""
    s = np.asarray(to_array("scores", scores), np.float64)
    a = np.asarray(to_array("performance", performance), np.float64)
    for name, values in (("scores", s), ("performance", a)):
        if values.ndim != 1:
            raise ValueError(f"{name}: expected one number a model, got {values.shape}")
        if not np.isfinite(values).all():
            at = int(np.argmin(np.isfinite(values)))
            raise ValueError(
                f"{name}: {values[at]} for model {at}; leave models without a value out"
            )
    if len(s) != len(a):
        raise ValueError(f"performance: {len(a)} values for {len(s)} scores")
    return s, a


def _places(name: str, k: int) -> int:
    if k < 1:
        raise ValueError(f"{name}: {k} is less than 1")
    return k


def _undefined(s: np.ndarray, a: np.ndarray) -> bool:
    return len(s) < 2 or bool(np.ptp(s) == 0 or np.ptp(a) == 0)


def _true_top(a: np.ndarray, k: int) -> np.ndarray:
    """Mark the k best performances, ties with the last included."""
    return a >= np.sort(a)[-min(k, len(a))]

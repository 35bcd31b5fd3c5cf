"""What following a ranking gains: places, the first few, and what is lost."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import scipy.stats

from trfjax.statistics.pools import checked_pool, undefined
from trfjax.typing import ArrayInput


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
    s, a = checked_pool(scores, performance)
    k = len(s) if k is None else _places("k", k)
    if gain not in ("linear", "exponential"):
        raise ValueError(f"gain: {gain!r} is neither 'linear' nor 'exponential'")
    if (a < 0).any():
        raise ValueError(f"performance: {a.min():g} has a negative gain")
    if undefined(s, a):
        return math.nan
    gains = a if gain == "linear" else np.exp2(a) - 1
    order = np.argsort(-s, kind="stable")
    discount = _discounts(np.arange(len(s), 0, -1.0), k)
    best = np.sort(gains)[::-1] @ discount
    found = gains[order] @ _discounts(s[order], k)
    return float(min(found / best, 1)) if best > 0 else math.nan


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
    s, a = checked_pool(scores, performance)
    top = len(s) if top is None else _places("top", top)
    if undefined(s, a):
        return math.nan
    ranks_s, ranks_a = scipy.stats.rankdata(-s), scipy.stats.rankdata(-a)
    total = float(np.abs(ranks_s - ranks_a)[_true_top(a, top)].sum())
    return total / (len(s) ** 2 // 2) if normalised else total


def rel_at_k(scores: ArrayInput, performance: ArrayInput, *, k: int = 1) -> float:
    """Return the best performance among the k best scores, over the best of all.

    NaN also where the best performance is not positive.
    """
    s, a = checked_pool(scores, performance)
    k = _places("k", k)
    if undefined(s, a) or a.max() <= 0:
        return math.nan
    return float(_best_of(s, a, k) / a.max())


def regret_at_k(scores: ArrayInput, performance: ArrayInput, *, k: int = 3) -> float:
    """Return what trying the k best scores and keeping the best loses; 0 is best.

    In the unit of the performance; with `k=1` it is `regret_at_1`.
    """
    s, a = checked_pool(scores, performance)
    k = _places("k", k)
    if undefined(s, a):
        return math.nan
    return float(a.max() - _best_of(s, a, k))


def recall_at_k(scores: ArrayInput, performance: ArrayInput, *, k: int = 1) -> float:
    """Return 1 if the model of the best score is among the k truly best, else 0."""
    s, a = checked_pool(scores, performance)
    k = _places("k", k)
    if undefined(s, a):
        return math.nan
    return float(_true_top(a, k)[s == s.max()].mean())


def regret_at_1(
    scores: ArrayInput, performance: ArrayInput, *, relative: bool = False
) -> float:
    """Return what choosing the best score loses in performance; 0 is best.

    With `relative`, over the best performance: NaN where that is not positive.
    """
    s, a = checked_pool(scores, performance)
    if undefined(s, a) or (relative and a.max() <= 0):
        return math.nan
    regret = float(a.max() - a[s == s.max()].mean())
    return regret / float(a.max()) if relative else regret


def dcg(scores: ArrayInput, performance: ArrayInput, *, k: int | None = None) -> float:
    r"""Return the discounted gain of the order by score, $\sum_r a_{(r)}/\log_2(r+1)$.

    In the unit of the performance: not comparable between pools; see `ndcg`. Models of
    one score share the places they fill.

    Args:
        scores: one a model.
        performance: one a model.
        k: how many places count; all by default.
    """
    s, a = checked_pool(scores, performance)
    k = len(s) if k is None else _places("k", k)
    if undefined(s, a):
        return math.nan
    order = np.argsort(-s, kind="stable")
    return float(a[order] @ _discounts(s[order], k))


def selected_right(scores: ArrayInput, performance: ArrayInput) -> float:
    """Return 1 if the best score is of the best model, else 0.

    Its mean over targets is the selection accuracy.
    """
    return recall_at_k(scores, performance, k=1)


def _places(name: str, k: int) -> int:
    if k < 1:
        raise ValueError(f"{name}: {k} is less than 1")
    return k


def _true_top(a: np.ndarray, k: int) -> np.ndarray:
    """Mark the k best performances, ties with the last included."""
    return a >= np.sort(a)[-min(k, len(a))]


def _discounts(ordered: np.ndarray, k: int) -> np.ndarray:
    """Return the discount of every place; equal scores share those they fill."""
    places = np.arange(len(ordered))
    discount = np.where(places < k, 1 / np.log2(places + 2), 0)
    group = np.unique(-ordered, return_inverse=True)[1]
    return (np.bincount(group, discount) / np.bincount(group))[group]


def _best_of(s: np.ndarray, a: np.ndarray, k: int) -> float:
    """Return the best performance among the k best scores, in the mean over ties."""
    k = min(k, len(s))
    edge = np.sort(s)[-k]
    sure, tied = a[s > edge], np.sort(a[s == edge])[::-1]
    draws = k - len(sure)  # of the tied ones, each subset as likely
    ways = [math.comb(len(tied) - i - 1, draws - 1) for i in range(len(tied))]
    chance = np.array(ways) / math.comb(len(tied), draws)  # that the i-th is the best
    floor = sure.max() if len(sure) else -np.inf
    return float(chance @ np.maximum(tied, floor))

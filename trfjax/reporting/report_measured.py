"""The section of a report that puts measured transfer against every metric."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.stats import rankdata

from trfjax.ranking.result import Ranking
from trfjax.reporting.pictures import picture
from trfjax.reporting.plot_transfer import plot_transfer
from trfjax.reporting.words import title
from trfjax.statistics.correlation import pearson, spearman

Measured = Mapping[str, Mapping[str, Any]]


def measured_transfer(ranking: Ranking, measured: Measured) -> dict[str, Any]:
    """Return what the page says of measured transfer, quantity by quantity.

    Raises:
        ValueError: measurements of a source that is not in the ranking.
    """
    unknown = [name for name in measured if name not in ranking.sources]
    if unknown:
        raise ValueError(
            f"measured: {unknown[0]!r} is not a source of the ranking; there are "
            f"{', '.join(ranking.sources)}"
        )
    names = dict.fromkeys(name for found in measured.values() for name in found)
    quantities = []
    for name in names:
        seeds = {
            source: np.atleast_1d(np.asarray(measured[source][name], float))
            for source in [c.source for c in ranking.column()]
            if name in measured.get(source, ())
        }
        quantities.append(_quantity(ranking, name, seeds))
    return {"quantities": quantities, "sources": list(quantities[0]["mean"])}


def _quantity(
    ranking: Ranking, name: str, seeds: dict[str, np.ndarray]
) -> dict[str, Any]:
    """Return one measured quantity: how repeatable, and how well predicted."""
    mean = {source: float(values.mean()) for source, values in seeds.items()}
    spread = {s: float(v.std(ddof=1)) for s, v in seeds.items() if len(v) > 1}
    scores = {
        metric: {c.source: c for c in ranking.column(metric) if np.isfinite(c.score)}
        for metric in ranking.metrics
    }
    correlations = []
    for metric, cells in scores.items():
        both = [source for source in cells if np.isfinite(mean.get(source, np.nan))]
        x = np.array([cells[source].estimate for source in both])
        y = np.array([mean[source] for source in both])
        found = {"pearson": pearson(x, y), "spearman": spearman(x, y)}
        found |= {"word": word_of(found["spearman"]), "luck": luck(x, y)}
        correlations.append({"metric": metric, "sources": len(both), **found})
    first = scores[ranking.metrics[0]]
    ranked = [source for source in first if source in mean]
    drawn, _ = plot_transfer(
        {source: cell.estimate for source, cell in first.items()},
        mean,
        intervals={source: cell.interval() for source, cell in first.items()},
        spread=spread,
        score=ranking.metrics[0],
        quantity=name,
    )
    alt = f"{title(name)} after transfer against the score"
    return {
        "name": name,
        "mean": mean,
        "spread": spread,
        "correlations": correlations,
        "repeat": _repeat(seeds),
        "chosen": ranked[0] if ranked else None,
        "best": max(mean, key=lambda source: np.nan_to_num(mean[source], nan=-np.inf)),
        "picture": picture(drawn, alt),
    }


def _repeat(seeds: dict[str, np.ndarray]) -> float:
    """Return the mean Spearman correlation of two seeds, NaN when there is one."""
    count = min(map(len, seeds.values()))
    table = np.array([values[:count] for values in seeds.values()])
    table = table[np.isfinite(table).all(axis=1)]
    pairs = [spearman(a, b) for a, b in itertools.combinations(table.T, 2)]
    return float(np.mean(pairs)) if pairs else float("nan")


def word_of(correlation: float) -> str:
    """Name a rank correlation for what it is."""
    if np.isnan(correlation):
        return "undefined"
    words = {0.8: "strong", 0.5: "moderate", 0.2: "weak", -0.2: "none"}
    return next((w for c, w in words.items() if round(correlation, 2) >= c), "reversed")


def luck(x: np.ndarray, y: np.ndarray) -> float:
    """Return how often a random order correlates at least as well."""
    observed = spearman(x, y)
    if np.isnan(observed):
        return observed
    rng = np.random.default_rng(0)
    few = len(x) <= 7
    orders = (
        itertools.permutations(y) if few else (rng.permutation(y) for _ in range(5000))
    )
    drawn = np.array([order for order in orders])
    ranks, order = rankdata(x), rankdata(drawn, axis=1)
    return float(np.mean(order @ ranks >= rankdata(y) @ ranks - 1e-9))

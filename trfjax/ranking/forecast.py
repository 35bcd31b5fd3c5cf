"""What earlier transfers say of the sources of a ranking, after fine-tuning."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from trfjax.ranking.cell import Cell
from trfjax.ranking.history import History

POINT = 0.01  # of what was measured: one point of a share


@dataclasses.dataclass(frozen=True, kw_only=True)
class Forecast:
    """The transfer that a history predicts for one source, best source first.

    `best` is the probability to measure best after fine-tuning, `within` that of being
    at most a point (0.01) below the best.
    """

    source: str
    measured: str  # what was measured in the history
    mean: float
    low: float  # 90% interval
    high: float
    best: float
    within: float


def check_history(history: History, metrics: Sequence[str]) -> None:
    """Refuse a history of scores that are not ranked.

    Raises:
        ValueError: a score of the history that is missing.
    """
    missing = [name for name in history.scores if name not in metrics]
    if missing:
        raise ValueError(
            f"history: was fitted to {', '.join(history.scores)}, and "
            f"{', '.join(missing)} is not among the metrics; rank by it too"
        )


def forecasts(
    history: History, cells: Sequence[Cell], target: str
) -> tuple[Forecast, ...]:
    """Return the forecast of every source that has all scores of the history.

    The scores are those that functions return, as the history was fitted to.

    Args:
        history: what `fit_history` returned.
        cells: of all sources and scores.
        target: what is ranked for.
    """
    known = {(cell.source, cell.metric): cell.score for cell in cells}
    names = [
        source
        for source in dict.fromkeys(cell.source for cell in cells)
        if all(np.isfinite(known[source, score]) for score in history.scores)
    ]
    if not names:
        return ()
    table: Mapping[str, list[str] | list[float]] = {
        "source": names,
        "target": [target] * len(names),
        **{score: [known[n, score] for n in names] for score in history.scores},
    }
    mean, low, high = history.predict(table)
    best = history.probability_best(table)
    within = history.probability_best(table, within=POINT)
    found = [
        Forecast(
            source=name,
            measured=history.measured,
            mean=float(mean[i]),
            low=float(low[i]),
            high=float(high[i]),
            best=float(best[i]),
            within=float(within[i]),
        )
        for i, name in enumerate(names)
    ]
    return tuple(sorted(found, key=lambda forecast: -forecast.mean))

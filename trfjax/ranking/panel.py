"""A panel: several scores in one column, made comparable over the sources."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

from trfjax.ranking.cell import Cell

How: TypeAlias = Literal["ranks", "standardised", "range"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Panel:
    r"""A weighted mean of scores, each made comparable over the sources ranked.

    With the values $x_s$ of one score over M sources, `how` is one of

    - `"ranks"`: $(r_s - \tfrac12) / M$ with average ranks $r_s$, the best M: in (0, 1);
    - `"standardised"`: $(x_s - \bar x) / \operatorname{sd} x$, 0 where all are equal;
    - `"range"`: $(x_s - \min x) / (\max x - \min x)$, likewise; ETran takes this for
      energy and a classification score, with weights 0.15 and 0.85.

    The value of a source depends on which others are ranked with it.

    Raises:
        ValueError: settings that fit no panel.
    """

    metrics: tuple[str, ...] = ()  # all that are ranked when empty
    weights: tuple[float, ...] = ()  # equal when empty
    how: How = "ranks"
    name: str = "panel"

    def __post_init__(self) -> None:
        if self.how not in HOW:
            raise ValueError(f"how: {self.how!r} is none of {', '.join(HOW)}")
        if self.weights and len(self.weights) != len(self.metrics):
            raise ValueError(
                f"weights: {len(self.weights)} for {len(self.metrics)} metrics; name "
                "the metrics and give each its weight"
            )
        if any(not weight > 0 for weight in self.weights):
            raise ValueError(f"weights: {self.weights} are not all positive")
        if "/" in self.name or not self.name:
            raise ValueError(f"name: {self.name!r} is no name of a column")

    def of(self, metrics: Sequence[str]) -> Panel:
        """Return the panel with its metrics named, those ranked where it names none.

        Raises:
            ValueError: a metric that is not ranked, fewer than two, or its own name.
        """
        named = self.metrics or tuple(metrics)
        for name in named:
            if name not in metrics:
                raise ValueError(
                    f"combine: {name!r} is not among the metrics; there are "
                    f"{', '.join(metrics)}"
                )
        if len(set(named)) < 2:
            raise ValueError(f"combine: {', '.join(named)} alone makes no panel")
        if self.name in metrics:
            raise ValueError(f"combine: {self.name!r} is the name of a metric already")
        return dataclasses.replace(self, metrics=named)


def panel_of(combine: Panel | How | None, metrics: Sequence[str]) -> Panel | None:
    """Return the panel that was asked for; a word is `how`, over all metrics.

    Raises:
        ValueError: a panel that cannot be made of these metrics.
    """
    if combine is None:
        return None
    panel = combine if isinstance(combine, Panel) else Panel(how=combine)
    return panel.of(metrics)


def panel_cells(cells: Sequence[Cell], panel: Panel) -> list[Cell]:
    """Return the cell of every source in the panel.

    Intervals come from the same resamples: in each one the scores of all sources are
    made comparable anew. A source that lacks one of the scores has no place in it, and
    the others are compared without it.
    """
    table = {(cell.source, cell.metric): cell for cell in cells}
    sources = list(dict.fromkeys(cell.source for cell in cells))
    rows = {s: [table[s, metric] for metric in panel.metrics] for s in sources}
    whole = [s for s in sources if all(np.isfinite(c.score) for c in rows[s])]
    columns = {
        name: _combined(panel, [rows[s] for s in whole], name)
        for name in ("replicates", "left_out")
    }
    values = np.array([[c.score for c in rows[s]] for s in whole], float)
    scores = _mean(panel, values.reshape(len(whole), len(panel.metrics)))
    found = []
    for source in sources:
        if source not in whole:
            found.append(_without(panel, rows[source]))
            continue
        at = whole.index(source)
        found.append(
            Cell(
                source=source,
                target=rows[source][0].target,
                metric=panel.name,
                score=float(scores[at]),
                smooth=False,
                details={**dataclasses.asdict(panel), "sources": len(whole)},
                replicates=tuple(map(float, columns["replicates"][at])),
                left_out=tuple(map(float, columns["left_out"][at])),
            )
        )
    return found


def _without(panel: Panel, cells: Sequence[Cell]) -> Cell:
    missing = next(cell for cell in cells if not np.isfinite(cell.score))
    return Cell(
        source=missing.source,
        target=missing.target,
        metric=panel.name,
        status="failed",
        smooth=False,
        error=f"{missing.metric} has no value: {missing.error or 'not defined'}",
    )


def _combined(panel: Panel, rows: list[list[Cell]], name: str) -> np.ndarray:
    """Return the panel of every resample, `(sources, resamples)`; none without some."""
    lengths = {len(getattr(cell, name)) for cells in rows for cell in cells}
    if len(lengths) != 1:
        return np.zeros((len(rows), 0))
    values = np.array([[getattr(c, name) for c in cells] for cells in rows], float)
    by_resample = np.moveaxis(values, 2, 0)  # (resamples, sources, metrics)
    means = [_mean(panel, table) for table in by_resample]
    return np.array(means).reshape(len(means), len(rows)).T


def _mean(panel: Panel, table: Float[np.ndarray, "s m"]) -> Float[np.ndarray, " s"]:
    """Return the weighted mean of comparable columns; NaN where a score has none."""
    if not np.isfinite(table).all():
        return np.full(len(table), np.nan)
    weights = np.asarray(panel.weights or [1.0] * len(panel.metrics))
    columns = [HOW[panel.how](column) for column in table.T]
    return weights @ np.stack(columns) / weights.sum()


def _ranks(values: Float[np.ndarray, " s"]) -> Float[np.ndarray, " s"]:
    return (rankdata(values) - 0.5) / len(values)


def _standardised(values: Float[np.ndarray, " s"]) -> Float[np.ndarray, " s"]:
    spread = values.std()
    centred = values - values.mean()
    return centred / spread if spread > 0 else np.zeros(len(values))


def _range(values: Float[np.ndarray, " s"]) -> Float[np.ndarray, " s"]:
    spread = np.ptp(values)
    return (values - values.min()) / spread if spread > 0 else np.zeros(len(values))


HOW: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "ranks": _ranks,
    "standardised": _standardised,
    "range": _range,
}

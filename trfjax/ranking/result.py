"""The ranking as a value: a table, best first, with what makes it credible."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from trfjax.errors import DataError, missing_extra
from trfjax.files import atomic_path, read_json, write_json, write_text
from trfjax.ranking.cell import Cell, cell_of
from trfjax.ranking.forecast import Forecast
from trfjax.ranking.notebook import table_html
from trfjax.ranking.records import COLUMNS, FORECAST, csv_text
from trfjax.ranking.table import forecast_lines, table_text
from trfjax.ranking.unlike import unlike
from trfjax.ranking.verdict import LEAST, Verdict, pool_of, verdict_of
from trfjax.reading import converted


@dataclasses.dataclass(frozen=True)
class Ranking:
    """Sources by score on one target; larger is better for every metric."""

    target: str
    metrics: tuple[str, ...]  # the first one orders the table
    cells: tuple[Cell, ...]
    settings: dict[str, Any]  # everything that was asked for
    versions: dict[str, str]
    source_classes: dict[str, tuple[str, ...]]  # class names by source
    target_classes: tuple[str, ...]
    seconds: float = 0.0
    forecasts: tuple[Forecast, ...] = ()  # of a history, best first

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the sources, in the order they were given."""
        return tuple(dict.fromkeys(cell.source for cell in self.cells))

    def column(self, metric: str | None = None) -> tuple[Cell, ...]:
        """Return the cells of a metric, best estimate first; failed ones come last.

        Raises:
            ValueError: a metric that was not computed.
        """
        metric = metric or self.metrics[0]
        if metric not in self.metrics:
            raise ValueError(
                f"metric: {metric!r} was not computed; there are "
                f"{', '.join(self.metrics)}"
            )
        chosen = [cell for cell in self.cells if cell.metric == metric]
        lowest = [(not np.isfinite(c.score), -c.estimate, -c.score) for c in chosen]
        order = sorted(range(len(chosen)), key=lambda i: lowest[i])
        return tuple(chosen[i] for i in order)

    def best(self, metric: str | None = None) -> str:
        """Return the name of the best source.

        Raises:
            ValueError: no source has a score.
        """
        first = self.column(metric)[0]
        if not np.isfinite(first.score):
            raise ValueError(f"no source could be scored: {first.error}")
        return first.source

    @property
    def verdict(self) -> Verdict:
        """What can be said of the first source by the first metric."""
        return self.judged()

    @property
    def unlike(self) -> tuple[str, ...]:
        """Warnings of scores that do not compare these sources."""
        return tuple(text for m in self.metrics for text in unlike(self.column(m)))

    def judged(
        self, metric: str | None = None, *, level: float = 0.9, least: float = LEAST
    ) -> Verdict:
        """Return the verdict by another metric, at another level or with another least.

        Args:
            metric: the score; the first one by default.
            level: how sure a lead has to be.
            least: share of the labels that an informative source explains at least.

        Raises:
            ValueError: a metric that was not computed, or no level or share.
        """
        return verdict_of(self.column(metric), level=level, least=least)

    def probability_best(self, metric: str | None = None) -> dict[str, float]:
        """Return for every source the probability that it has the best true score.

        From the same estimates and images as order and intervals; see
        `trfjax.statistics.jackknife.Pool`. Empty where nothing was resampled.
        """
        cells = [cell for cell in self.column(metric) if np.isfinite(cell.score)]
        pool = pool_of(cells)
        if pool is None:
            return {}
        chances = pool.probability_first()
        return {c.source: float(p) for c, p in zip(cells, chances, strict=True)}

    def difference(
        self, first: str, second: str, metric: str | None = None, *, level: float = 0.9
    ) -> tuple[float, float, float]:
        """Return by how much one estimate exceeds another, and the interval of that.

        Both are compared on the same images, so the interval can leave out 0 although
        those of the scores overlap. NaN where nothing was resampled.

        Raises:
            ValueError: a source that was not ranked.
        """
        cells = {cell.source: cell for cell in self.column(metric)}
        for name in (first, second):
            if name not in cells:
                raise ValueError(
                    f"{name!r} is not ranked; there are {', '.join(cells)}"
                )
        pair = cells[first], cells[second]
        pool = pool_of(pair)
        if pool is None:
            return pair[0].estimate - pair[1].estimate, float("nan"), float("nan")
        found = pool.difference(0, 1, level)
        return found.value, *found.ends

    def records(self) -> list[dict[str, Any]]:
        """Return one flat row per cell, by metric and rank."""
        rows = []
        known = {f.source: f for f in self.forecasts}
        for metric in self.metrics:
            chances = self.probability_best(metric)
            for place, cell in enumerate(self.column(metric), start=1):
                row, share = cell.record(), cell.explains()
                row["explained"] = None if share is None else share.value
                row["rank"] = place if np.isfinite(cell.score) else None
                row["probability_best"] = chances.get(cell.source)
                forecast = known.get(cell.source)
                for name, part in FORECAST.items():
                    row[name] = None if forecast is None else getattr(forecast, part)
                rows.append({name: row[name] for name in COLUMNS})
        return rows

    def to_csv(self, path: str | Path | None = None) -> str:
        """Return the table as CSV, and write it when a path is given."""
        text = csv_text(self.records())
        if path is not None:
            write_text(path, text)
        return text

    def to_json(self, path: str | Path) -> None:
        """Write everything, replicates and joints included, as strict JSON."""
        whole = {
            field.name: getattr(self, field.name) for field in dataclasses.fields(self)
        }
        whole["cells"] = [cell.record() for cell in self.cells]
        whole["forecasts"] = [dataclasses.asdict(found) for found in self.forecasts]
        write_json(path, whole)

    def to_parquet(self, path: str | Path) -> None:
        """Write the table as Parquet."""
        import pyarrow
        from pyarrow import parquet

        with atomic_path(path) as temporary:
            parquet.write_table(pyarrow.Table.from_pylist(self.records()), temporary)

    def to_pandas(self) -> Any:
        """Return the table as a pandas data frame (`pandas` extra)."""
        try:
            import pandas
        except ImportError as error:
            raise missing_extra("pandas", "pandas") from error
        return pandas.DataFrame(self.records())

    def merge(self, other: Ranking) -> Ranking:
        """Return one ranking of the sources of both, on the same target and settings.

        Raises:
            ValueError: another target or other settings, or a source in both.
        """
        if (self.target, self.settings) != (other.target, other.settings):
            raise ValueError("merge: the rankings differ in target or settings")
        twice = set(self.sources) & set(other.sources)
        if twice:
            raise ValueError(f"merge: {', '.join(sorted(twice))} is in both rankings")
        return dataclasses.replace(
            self,
            cells=self.cells + other.cells,
            source_classes=self.source_classes | other.source_classes,
            seconds=self.seconds + other.seconds,
            forecasts=(),  # they depend on which sources there are
        )

    def __repr__(self) -> str:
        chances = self.probability_best()
        text = table_text(
            self.target, self._columns, chances, self.verdict, self.unlike
        )
        return "\n".join([text, *forecast_lines(self.forecasts)])

    def _repr_html_(self) -> str:
        chances = self.probability_best()
        return table_html(self.target, self._columns, chances, self.verdict)

    @property
    def _columns(self) -> dict[str, tuple[Cell, ...]]:
        return {metric: self.column(metric) for metric in self.metrics}


def read_ranking(path: str | Path) -> Ranking:
    """Read what `to_json` wrote.

    Raises:
        DataError: a file that is damaged or holds something else.
    """
    found = read_json(path)
    names = [field.name for field in dataclasses.fields(Ranking)]
    if not set(names) <= set(found):
        raise DataError(path, "not a ranking; rank again")
    records = converted(path, found["cells"], list[dict[str, Any]])
    whole = {name: found[name] for name in names} | {"cells": []}
    plain: Ranking = converted(path, whole, Ranking)
    cells = tuple(cell_of(record, path) for record in records)
    return dataclasses.replace(plain, cells=cells)

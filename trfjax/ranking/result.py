"""The ranking as a value: a table, best first, with what makes it credible."""

from __future__ import annotations

import csv
import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np

from trfjax.errors import DataError, missing_extra
from trfjax.files import atomic_path, read_json, write_json, write_text
from trfjax.ranking.cell import Cell, cell_of
from trfjax.reading import converted, printable
from trfjax.statistics.interval import image_interval

COLUMNS: tuple[str, ...] = (
    "rank", "source", "target", "metric", "score", "standard_error",
    "bootstrap_error", "low", "high", "probability_best", "features", "status",
    "seconds", "error",
)  # fmt: skip


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

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the sources, in the order they were given."""
        return tuple(dict.fromkeys(cell.source for cell in self.cells))

    def column(self, metric: str | None = None) -> tuple[Cell, ...]:
        """Return the cells of a metric, best first; failed ones come last.

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
        lowest = [(not np.isfinite(c.score), -c.score) for c in chosen]
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

    def probability_best(self, metric: str | None = None) -> dict[str, float]:
        """Return how often each source came first over resampled images and draws.

        The sources are compared on the same resampled images. Empty when there are no
        replicates; ties share.
        """
        cells = [c for c in self.column(metric) if len(c.replicates)]
        if not cells:
            return {}
        values = np.array([cell.replicates for cell in cells], float)
        values = values[:, np.isfinite(values).all(axis=0)]
        if not values.size:
            return {}
        first = values == values.max(axis=0)
        share = (first / first.sum(axis=0)).mean(axis=1)
        return {c.source: float(p) for c, p in zip(cells, share, strict=True)}

    def difference(
        self, first: str, second: str, metric: str | None = None, *, level: float = 0.9
    ) -> tuple[float, float, float]:
        """Return by how much one source scores above another, and the interval of that.

        Both are compared on the same resampled images, so the interval can leave out
        0 although those of the scores overlap. NaN where there are no replicates.

        Raises:
            ValueError: a source that was not ranked.
        """
        cells = {cell.source: cell for cell in self.column(metric)}
        for name in (first, second):
            if name not in cells:
                raise ValueError(
                    f"{name!r} is not ranked; there are {', '.join(cells)}"
                )
        a, b = cells[first], cells[second]
        apart = a.score - b.score
        if len(a.replicates) != len(b.replicates):
            return apart, float("nan"), float("nan")
        columns = (
            np.subtract(getattr(a, name), getattr(b, name))
            for name in ("replicates", "left_out")
        )
        found = image_interval(apart, *columns, level=level, smooth=a.smooth)
        return apart, *found.ends

    def records(self) -> list[dict[str, Any]]:
        """Return one flat row per cell, by metric and rank."""
        rows = []
        for metric in self.metrics:
            chances = self.probability_best(metric)
            for place, cell in enumerate(self.column(metric), start=1):
                row = cell.record()
                row["rank"] = place if np.isfinite(cell.score) else None
                row["probability_best"] = chances.get(cell.source)
                rows.append({name: row[name] for name in COLUMNS})
        return rows

    def to_csv(self, path: str | Path | None = None) -> str:
        """Return the table as CSV, and write it when a path is given."""
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in self.records():
            writer.writerow({key: _safe_text(value) for key, value in row.items()})
        if path is not None:
            write_text(path, text.getvalue())
        return text.getvalue()

    def to_json(self, path: str | Path) -> None:
        """Write everything, replicates and joints included, as strict JSON."""
        whole = {
            field.name: getattr(self, field.name) for field in dataclasses.fields(self)
        }
        write_json(path, {**whole, "cells": [cell.record() for cell in self.cells]})

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
        )

    def __str__(self) -> str:
        return "\n".join(_lines(self))


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


def _safe_text(value: Any) -> Any:
    """Keep a spreadsheet from taking a name for a formula, or for several rows."""
    if not isinstance(value, str):
        return value
    text = printable(value)
    return "'" + text if text[:1] in ("=", "+", "-", "@") else text


def _lines(ranking: Ranking) -> list[str]:
    """Return the table as plain text: the first metric in full, the others beside."""
    first, *others = ranking.metrics
    chances = ranking.probability_best(first)
    known = {(c.source, c.metric): c for c in ranking.cells}
    head = ["", "source", first, "+-", "90% interval", "P(best)", *others]
    rows, failures = [], []
    for place, cell in enumerate(ranking.column(first), start=1):
        if cell.status == "failed":
            failures.append(f"  {cell.source}: {cell.error}")
            continue
        if np.isnan(cell.score):
            reason = "; ".join(cell.warnings) or "the score has no value here"
            failures.append(f"  {cell.source}: undefined ({reason})")
            continue
        low, high = cell.interval()
        error = cell.standard_error
        error = cell.bootstrap_error if np.isnan(error) else error
        chance = chances.get(cell.source)
        rows.append([
            str(place), cell.source, f"{cell.score:.4f}", f"{error:.4f}",
            f"{low:.3f} .. {high:.3f}", "" if chance is None else f"{chance:.2f}",
            *(_number(known.get((cell.source, metric))) for metric in others),
        ])  # fmt: skip
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [f"Ranking of {len(rows)} sources for {ranking.target}"]
    for row in [head, *rows]:
        cells = [
            text.ljust(w) if i == 1 else text.rjust(w)
            for i, (text, w) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    if failures:
        lines += ["not ranked:", *failures]
    return lines


def _number(cell: Cell | None) -> str:
    if cell is None or cell.status == "failed" or not np.isfinite(cell.score):
        return "-"
    return f"{cell.score:.4f}"

"""What a sweep came to: one row a transfer, with the scores beside it."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trfjax.files import atomic_path, write_text
from trfjax.ranking.cell import Cell, cell_of
from trfjax.ranking.panel import panel_cells
from trfjax.reading import printable
from trfjax.store import Record
from trfjax.studies.sweep.cells import SweepCell
from trfjax.studies.sweep.spec import Sweep
from trfjax.transfer.empirical import MEASURES

# What is known of a source without a score: its accuracy on the shots as it is, that on
# held-out images of its own, labelled images it was trained on, and its size.
FACTS = ("as_is", "source_accuracy", "source_miou", "source_images", "parameters")


@dataclasses.dataclass(frozen=True, eq=False)
class SweepResult:
    """The finished cells of a sweep; larger is better in every column."""

    sweep: Sweep
    records: Mapping[SweepCell, Record]

    @property
    def failed(self) -> dict[SweepCell, str]:
        """The cells that failed, and why."""
        return {c: r.error for c, r in self.records.items() if r.failed}

    @property
    def predictors(self) -> tuple[str, ...]:
        """The columns that are known before a transfer: panels, scores, facts."""
        panels = (panel.name for panel in self.sweep.panels)
        return (*panels, *self.sweep.scores, *FACTS)

    @property
    def methods(self) -> tuple[str, ...]:
        """The ways to transfer."""
        return tuple(method.title for method in self.sweep.ways)

    def cells(self, target: str, seed: int) -> list[Cell]:
        """Return the scores of a draw of shots, those of panels first."""
        found = [
            _cell(cell, record)
            for cell, record in self.records.items()
            if (cell.kind, cell.target, cell.seed) == ("score", target, seed)
        ]
        panels = [entry.panel.of(self.sweep.scores) for entry in self.sweep.panels]
        made = [cell for panel in panels for cell in panel_cells(found, panel)]
        return [*made, *found]

    def rows(self) -> list[dict[str, Any]]:
        """Return one row a source, target, seed and method; None where nothing is."""
        before = self._before()
        found = []
        for source, target in self.sweep.pairs():
            for method in self.methods:
                for seed in self.sweep.seeds:
                    cell = SweepCell("transfer", method, source, target, seed)
                    record = self.records.get(cell)
                    known = before.get((source, target, seed), {})
                    columns = {name: known.get(name) for name in self.predictors}
                    place = {
                        "source": source,
                        "target": target,
                        "seed": seed,
                        "method": method,
                    }
                    found.append(place | columns | _transfer(record))
        return found

    def table(self, method: str | None = None) -> dict[str, list[Any]]:
        """Return columns of one method, one row a pair, as `fit_history` takes them.

        Values are means over the seeds. Pairs without a measured transfer are left
        out; a score that is missing there is NaN.

        Args:
            method: the way to transfer; the first one by default.

        Raises:
            ValueError: a method that the sweep does not have.
        """
        method = method or self.methods[0]
        if method not in self.methods:
            raise ValueError(
                f"method: no {method!r}; there are {', '.join(self.methods)}"
            )
        names = ("source", "target", *self.predictors, *MEASURES)
        columns: dict[str, list[Any]] = {name: [] for name in names}
        rows = [row for row in self.rows() if row["method"] == method]
        for source, target in self.sweep.pairs():
            mine = [r for r in rows if (r["source"], r["target"]) == (source, target)]
            means = {n: _mean([r[n] for r in mine]) for n in names[2:]}
            if all(math.isfinite(means[name]) for name in MEASURES):
                for name, value in {
                    "source": source,
                    "target": target,
                    **means,
                }.items():
                    columns[name].append(value)
        return columns

    def to_csv(self) -> str:
        """Return all rows as CSV."""
        return _csv(self.rows())

    def write(self, folder: str | Path) -> None:
        """Write `results` (every row) and `transfer-<method>` (the tables).

        Both as CSV and as Parquet.
        """
        folder = Path(folder)
        tables = {"results": self.rows()}
        for method in self.methods:
            columns = self.table(method)
            rows = zip(*columns.values(), strict=True)
            tables[f"transfer-{method}"] = [
                dict(zip(columns, row, strict=True)) for row in rows
            ]
        for name, rows in tables.items():
            if rows:
                _write(folder / name, rows)

    def _before(self) -> dict[tuple[str, str, int], dict[str, Any]]:
        """Return what is known before a transfer, by source, target and seed."""
        found: dict[tuple[str, str, int], dict[str, Any]] = {}
        for target in self.sweep.targets:
            for seed in self.sweep.seeds:
                for cell in self.cells(target.name, seed):
                    place = found.setdefault((cell.source, target.name, seed), {})
                    place[cell.metric] = _number(cell.score)
        for cell, record in self.records.items():
            if cell.kind == "facts" and not record.failed:
                place = found.setdefault((cell.source, cell.target, cell.seed), {})
                place |= record.value
        return found


def _cell(cell: SweepCell, record: Record) -> Cell:
    if record.failed:
        return Cell(
            cell.source, cell.target, cell.name, status="failed", error=record.error
        )
    found = cell_of(record.value, record.name)
    return dataclasses.replace(found, source=cell.source, target=cell.target)


def _transfer(record: Record | None) -> dict[str, Any]:
    """Return the columns of a measured transfer."""
    if record is None or record.failed:
        status = "missing" if record is None else "failed"
        measured: dict[str, Any] = dict.fromkeys(MEASURES)
    else:
        status, measured = "ok", {name: record.value[name] for name in MEASURES}
    seconds = None if record is None else record.seconds
    error = "" if record is None else record.error
    return {**measured, "status": status, "seconds": seconds, "error": error}


def _mean(values: Sequence[Any]) -> float:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else math.nan


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as CSV and as Parquet."""
    import pyarrow
    from pyarrow import parquet

    write_text(path.with_name(f"{path.name}.csv"), _csv(rows))
    with atomic_path(path.with_name(f"{path.name}.parquet")) as temporary:
        parquet.write_table(pyarrow.Table.from_pylist(list(rows)), temporary)


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _plain(value) for name, value in row.items()})
    return text.getvalue()


def _plain(value: Any) -> Any:
    """Keep a spreadsheet from taking a name for a formula, or for several rows."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if not isinstance(value, str):
        return value
    text = printable(value)
    return "'" + text if text[:1] in ("=", "+", "-", "@") else text

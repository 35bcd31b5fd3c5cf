"""One finished cell of a ranking: a source, a score, and what there is to say of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal

import numpy as np

from trfjax.errors import DataError
from trfjax.files import strict
from trfjax.reading import converted
from trfjax.statistics.interval import IntervalMethod, image_interval

SCHEMA = 3
Status = Literal["ok", "failed"]


@dataclasses.dataclass(frozen=True)
class Cell:
    """The score of one source on one target.

    `standard_error` is over draws of pixels, where there are some. `replicates` are the
    score on resampled target images, and draws where there are any; `left_out` the
    score with each image left out once. The interval is theirs.
    """

    source: str
    target: str
    metric: str
    status: Status = "ok"
    score: float = float("nan")
    standard_error: float = float("nan")
    replicates: tuple[float, ...] = ()
    left_out: tuple[float, ...] = ()
    smooth: bool = True  # whether the jackknife can tell the bias of the score
    features: str = ""  # the feature space the score was computed on
    seconds: float = 0.0
    error: str = ""
    warnings: tuple[str, ...] = ()
    details: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def bootstrap_error(self) -> float:
        """Standard deviation over resampled images; NaN when there are none."""
        values = np.asarray(self.replicates, float)
        values = values[np.isfinite(values)]
        return float(values.std(ddof=1)) if len(values) > 1 else float("nan")

    def interval(
        self, level: float = 0.9, *, method: IntervalMethod = "jackknife"
    ) -> tuple[float, float]:
        """Return the interval of the score; NaN when there are no replicates."""
        return image_interval(
            self.score,
            self.replicates,
            self.left_out,
            level=level,
            method=method,
            smooth=self.smooth,
        ).ends

    def record(self) -> dict[str, Any]:
        """Return the cell as strict JSON."""
        low, high = self.interval()
        derived = dict(bootstrap_error=self.bootstrap_error, low=low, high=high)
        return strict({"schema": SCHEMA, **dataclasses.asdict(self), **derived})


def cell_of(record: Any, path: str | Path) -> Cell:
    """Return the cell of a record read from a file.

    Raises:
        DataError: a record that is damaged or of another schema.
    """
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        raise DataError(path, f"not a cell record of schema {SCHEMA}; remove it")
    names = [field.name for field in dataclasses.fields(Cell)]
    try:
        values = {name: record[name] for name in names}
    except KeyError as error:
        raise DataError(path, f"the field {error} is missing; remove it") from error
    unknown = float("nan")  # null in JSON
    for name in ("score", "standard_error"):
        values[name] = unknown if values[name] is None else values[name]
    for name in ("replicates", "left_out"):
        if isinstance(values[name], list):
            values[name] = [unknown if v is None else v for v in values[name]]
    return converted(path, values, Cell)

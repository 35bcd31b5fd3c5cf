"""One finished cell of a ranking: a source, a score, and what there is to say of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal

import numpy as np

from trfjax.errors import DataError
from trfjax.files import strict
from trfjax.reading import converted
from trfjax.statistics.interval import Interval, IntervalMethod, image_interval
from trfjax.statistics.jackknife import corrected

SCHEMA = 4
Status = Literal["ok", "failed"]


@dataclasses.dataclass(frozen=True)
class Cell:
    """The score of one source on one target.

    `score` is the number that the score's function returns. `standard_error` is over
    draws of pixels, where there are some. `replicates` are the score on resampled
    target images, and draws where there are any; `left_out` the score with each image
    left out once. `estimate`, interval and order come from these.
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
    limits: tuple[float | None, float | None] = (None, None)  # values that are possible
    floor: float | None = None  # what a useless source reaches
    explained: float | None = None  # share of what there is above the floor
    explained_left_out: tuple[float, ...] = ()
    explained_of: str = ""  # "the label entropy"
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

    @property
    def estimate(self) -> float:
        """The score with the bias of few images taken off, within its limits.

        Just the score where nothing was resampled or the bias cannot be told.
        """
        return self._limited(
            corrected(self.score, np.array(self.left_out), self.smooth)
        )

    def interval(
        self, level: float = 0.9, *, method: IntervalMethod = "jackknife"
    ) -> tuple[float, float]:
        """Return the interval about the estimate; NaN where nothing was resampled."""
        found = image_interval(
            self.score,
            self.replicates,
            self.left_out,
            level=level,
            method=method,
            smooth=self.smooth,
        )
        return self._limited(found.low), self._limited(found.high)

    def explains(self, level: float = 0.9) -> Interval | None:
        """Return the share that the source explains; None where there is no floor.

        Its ends are NaN where nothing was resampled.
        """
        if self.explained is None:
            return None
        alone = np.array(self.explained_left_out)
        share = corrected(self.explained, alone, self.smooth)
        found = image_interval(
            self.explained, (), alone, level=level, smooth=self.smooth
        )
        low, high = np.clip(found.ends, 0, 1)
        count = found.count
        return Interval(float(np.clip(share, 0, 1)), float(low), float(high), count)

    def _limited(self, value: float) -> float:
        low, high = self.limits
        value = value if low is None else float(np.maximum(value, low))
        return value if high is None else float(np.minimum(value, high))

    def record(self) -> dict[str, Any]:
        """Return the cell as strict JSON."""
        low, high = self.interval()
        share = self.explains()
        derived = dict(
            estimate=self.estimate,
            bootstrap_error=self.bootstrap_error,
            low=low,
            high=high,
            explained_low=None if share is None else share.low,
            explained_high=None if share is None else share.high,
        )
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
    for name in ("replicates", "left_out", "explained_left_out"):
        if isinstance(values[name], list):
            values[name] = [unknown if v is None else v for v in values[name]]
    return converted(path, values, Cell)

"""The flat form of a ranking: one row a cell, as CSV."""

from __future__ import annotations

import csv
import io
from typing import Any

from trfjax.reading import printable

COLUMNS: tuple[str, ...] = (
    "rank",
    "source",
    "target",
    "metric",
    "score",
    "estimate",
    "low",
    "high",
    "probability_best",
    "floor",
    "explained",
    "explained_low",
    "explained_high",
    "forecast",
    "forecast_low",
    "forecast_high",
    "forecast_best",
    "forecast_within",
    "standard_error",
    "bootstrap_error",
    "features",
    "status",
    "seconds",
    "error",
)
FORECAST = {
    "forecast": "mean",
    "forecast_low": "low",
    "forecast_high": "high",
    "forecast_best": "best",
    "forecast_within": "within",
}


def csv_text(rows: list[dict[str, Any]]) -> str:
    """Return rows of `COLUMNS` as CSV with a header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: spreadsheet_cell(value) for key, value in row.items()})
    return text.getvalue()


def spreadsheet_cell(value: Any) -> Any:
    """Keep a spreadsheet from taking a name for a formula, or for several rows."""
    if not isinstance(value, str):
        return value
    text = printable(value)
    return "'" + text if text[:1] in ("=", "+", "-", "@") else text

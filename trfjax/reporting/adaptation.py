"""Tables and words for the methods and seeds of a measured adaptation."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from trfjax.files import strict, write_json, write_text
from trfjax.statistics.interval import Interval, mean_interval


def write_results(records: list[dict[str, Any]], folder: Path) -> None:
    """Write the records as JSON, and a table as CSV."""
    write_json(folder / "results.json", {"runs": records, "summary": _plain(records)})
    write_text(folder / "results.csv", table(records))


def summary(records: list[dict[str, Any]]) -> dict[str, dict[str, Interval]]:
    """Return mIoU over seeds and its gain over the network as it came, by method."""
    found: dict[str, dict[str, Interval]] = {}
    for method in dict.fromkeys(record["method"] for record in records):
        done = [r for r in records if r["method"] == method and r.get("evaluation")]
        if done:
            after = np.array([r["evaluation"]["miou"] for r in done])
            before = np.array([r["before"]["miou"] for r in done])
            found[method] = {
                "miou": mean_interval(after),
                "gain": mean_interval(after - before),
            }
    return found


def table(records: list[dict[str, Any]]) -> str:
    """Return one line a method and seed: measures, and the IoU of every class."""
    classes = next(
        (list(r["evaluation"]["classes"]) for r in records if r.get("evaluation")), []
    )
    columns = ["method", "seed", "status", "chosen_step", "miou", "accuracy", "seconds"]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*columns, *(f"iou {name}" for name in classes), "error"])
    for record in records:
        evaluation = record.get("evaluation") or {}
        flat = {**record, **evaluation}
        each = evaluation.get("classes", {})
        row = [flat.get(column) for column in columns]
        row += [each.get(name, {}).get("iou") for name in classes]
        row.append(flat.get("error"))
        writer.writerow(["" if value is None else value for value in row])
    return stream.getvalue()


def text(records: list[dict[str, Any]], form: str) -> str:
    """Return what methods and seeds came to, in words, as CSV or as JSON.

    Args:
        records: one a method and seed.
        form: `"table"`, `"csv"` or `"json"`.
    """
    if form == "csv":
        return table(records).removesuffix("\n")
    if form == "json":
        return json.dumps(strict({"runs": records, "summary": _plain(records)}))
    lines = []
    for method, found in summary(records).items():
        if found["miou"].count > 1:
            lines.append(
                f"{method}: mIoU {found['miou']}, gain {found['gain']} over "
                f"{found['miou'].count} seeds"
            )
        else:
            lines.append(
                f"{method}: mIoU {found['miou'].value:.3f}, gain "
                f"{found['gain'].value:+.3f} of one seed"
            )
    for record in records:
        name = f"{record['method']}, seed {record['seed']}"
        if record["status"] != "ok":
            lines.append(f"{name}: failed: {record['error']}")
        elif not record.get("evaluation"):
            lines.append(f"{name}: done; the target has no labels to measure it by")
        lines += [f"{name}: {warning}" for warning in record.get("warnings", [])]
    return "\n".join(lines)


def _plain(records: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        method: {
            name: {"value": i.value, "low": i.low, "high": i.high, "seeds": i.count}
            for name, i in found.items()
        }
        for method, found in summary(records).items()
    }

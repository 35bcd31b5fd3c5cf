"""Tables, curves and words for the seeds of a measured fine-tuning."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from trfjax.files import atomic_path, strict, write_json, write_text
from trfjax.transfer.empirical import MEASURES

BASELINES = ("as it is", "scratch")  # what the tuned network is set beside


def write_results(records: list[dict[str, Any]], folder: Path) -> None:
    """Write the records as JSON, a table as CSV, and the curves."""
    write_json(folder / "results.json", {"runs": records, "summary": summary(records)})
    write_text(folder / "results.csv", table(records))
    if any(record["status"] == "ok" for record in records):
        figure = draw(records)
        with atomic_path(folder / "curves.png") as temporary:
            figure.savefig(temporary, format="png", dpi=150)


def summary(records: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Return mean and standard deviation over the seeds; NaN for a single one."""
    found: dict[str, dict[str, float]] = {}
    for measure in MEASURES:
        values = np.array(
            [r["evaluation"][measure] for r in records if r.get("evaluation")]
        )
        if len(values):
            spread = values.std(ddof=1) if len(values) > 1 else float("nan")
            found[measure] = {"mean": float(values.mean()), "spread": float(spread)}
    return found


def table(records: list[dict[str, Any]]) -> str:
    """Return one line per seed: the measures, and the IoU of every class."""
    good = [record for record in records if record["status"] == "ok"]
    tested = [record["evaluation"] for record in good if record["evaluation"]]
    classes = list(tested[0]["classes"]) if tested else []
    columns = ["seed", "method", "status", "head", *MEASURES, "seconds"]
    beside = [(name, m) for name in BASELINES for m in MEASURES]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    titles = [*columns, *(f"iou {name}" for name in classes)]
    titles += [f"{name}: {measure}" for name, measure in beside]
    writer.writerow([*titles, "error"])
    for record in records:
        evaluation = record.get("evaluation") or {}
        flat = {**record, **evaluation}
        each = evaluation.get("classes", {})
        row = [flat.get(column) for column in columns]
        row += [each.get(name, {}).get("iou") for name in classes]
        baselines = record.get("baselines", {})
        row += [(baselines.get(name) or {}).get(measure) for name, measure in beside]
        row.append(flat.get("error"))
        writer.writerow(["" if value is None else value for value in row])
    return stream.getvalue()


def text(records: list[dict[str, Any]], folder: Path, form: str) -> str:
    """Return what the seeds came to, in words, as CSV or as JSON.

    Args:
        records: one a seed.
        folder: where their networks lie.
        form: `"table"`, `"csv"` or `"json"`.
    """
    if form == "csv":
        return table(records).removesuffix("\n")
    if form == "json":
        return json.dumps(strict({"runs": records, "summary": summary(records)}))
    lines = [line for record in records for line in _seed_lines(record, folder)]
    if sum(bool(record.get("evaluation")) for record in records) > 1:
        found = summary(records).items()
        parts = [f"{m} {v['mean']:.3f} +- {v['spread']:.3f}" for m, v in found]
        lines.append(f"mean and spread over seeds: {', '.join(parts)}")
    return "\n".join(lines)


def _seed_lines(record: dict[str, Any], folder: Path) -> list[str]:
    if record["status"] != "ok":
        lines = [f"  seed {record['seed']}: failed: {record['error']}"]
        if "model" in record:
            lines.append(f"    the last good network: {folder / record['model']}")
        return lines
    evaluation = record["evaluation"]
    found = "tuned, not tested" if evaluation is None else _line(evaluation)
    lines = [f"  seed {record['seed']}: {found}"]
    for name, found in record.get("baselines", {}).items():
        told = "does not know these classes" if found is None else _line(found)
        lines.append(f"    {name}: {told}")
    if record["missing"] and record["head"] == "new":
        lines.append(f"    no shot shows {', '.join(record['missing'])}: not learned")
    if record.get("alignment_stopped") is not None:
        lines.append(
            f"    the alignment was taken back to step {record['alignment_stopped']}: "
            "after it, the network forgot too much of the source"
        )
    return lines


def _line(evaluation: dict[str, Any]) -> str:
    return (
        f"mIoU {evaluation['miou']:.3f}, accuracy {evaluation['accuracy']:.3f}, "
        f"log-likelihood {evaluation['log_likelihood']:.3f}"
    )


def draw(records: list[dict[str, Any]]) -> Figure:
    """Draw the loss by step, and the alignment before it where there was one."""
    good = [record for record in records if record["status"] == "ok"]
    wanted = [("curves", "loss", "loss of the shots (nats)")]
    if "alignment" in good[0]:
        wanted = [
            ("alignment", "task_difference", "W_T of the batch (nats)"),
            ("alignment", "source_accuracy", "source accuracy of the batch"),
            *wanted,
        ]
    figure = Figure(figsize=(4 * len(wanted), 3), layout="constrained")
    for ax, (part, name, title) in zip(
        figure.subplots(1, len(wanted), squeeze=False)[0], wanted, strict=True
    ):
        for record in good:
            values = record[part][name]
            steps = range(1, len(values) + 1)
            ax.plot(steps, values, lw=1.2, label=f"seed {record['seed']}")
        ax.set_xlabel("step of the alignment" if part == "alignment" else "step")
        ax.set_title(title, fontsize=9, loc="left")
        ax.spines[["top", "right"]].set_visible(False)
    figure.axes[-1].legend(frameon=False, fontsize=7)
    return figure

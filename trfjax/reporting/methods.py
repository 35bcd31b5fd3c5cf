"""Methods compared over seeds: words, a table and a figure."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from trfjax.reporting.canvas import BEST, INK, REST
from trfjax.statistics.interval import Interval, mean_interval, paired_interval
from trfjax.transfer.empirical import MEASURES

Rows = dict[str, list[dict[str, Any]]]  # by method, one record a seed
Found = dict[str, Rows]  # by pair


def line(evaluation: dict[str, Any]) -> str:
    """Return the three measures."""
    return ", ".join(f"{m} {evaluation[m]:.3f}" for m in MEASURES)


def interval(runs: list[dict[str, Any]], measure: str) -> Interval:
    """Return mean and 95 % interval over seeds, in per cent or nats."""
    return mean_interval(_values(runs, measure))


def gain(
    runs: list[dict[str, Any]], against: list[dict[str, Any]], measure: str
) -> Interval:
    """Return the difference to another method, paired by seed."""
    return paired_interval(_values(runs, measure), _values(against, measure))


def baseline(found: Rows, name: str) -> str:
    """Return what a method is compared with; "" for nothing.

    Guided methods make as many updates as "longer", full fine-tuning by more steps.
    """
    wanted = ("longer", "full") if name.startswith("guided") else ("full",)
    return next((row for row in wanted if row in found and row != name), "")


def _values(runs: list[dict[str, Any]], measure: str) -> np.ndarray:
    scale = 1 if measure == "log_likelihood" else 100
    return scale * np.array([run[measure] for run in runs])


def describe(found: Rows, name: str) -> str:
    """Return one line of the printed table."""
    runs, base = found[name], baseline(found, name)
    parts = [f"{m} {interval(runs, m)}" for m in MEASURES]
    if base:
        parts += [f"{m} - {base} {gain(runs, found[base], m)}" for m in MEASURES]
    return "; ".join(parts) + f"; {np.mean([run['seconds'] for run in runs]):.0f} s"


def table(found: Found) -> str:
    """Return one line per pair, method and measure."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    columns = ["pair", "method", "measure", "runs", "mean", "low", "high"]
    writer.writerow([*columns, "against", "gain", "gain_low", "gain_high"])
    for pair, rows in found.items():
        for name, runs in rows.items():
            for measure in MEASURES:
                mean, base = interval(runs, measure), baseline(rows, name)
                row = [pair, name, measure, mean.count, mean.value, *mean.ends]
                if base:
                    more = gain(runs, rows[base], measure)
                    row += [base, more.value, *more.ends]
                writer.writerow(row)
    return stream.getvalue()


def draw(found: Found, measure: str) -> Figure:
    """Draw a measure of every method with its interval, one panel a pair."""
    figure = Figure(figsize=(4.2 * len(found), 3.2), layout="constrained")
    axes = figure.subplots(1, len(found), squeeze=False)[0]
    for ax, (pair, rows) in zip(axes, found.items(), strict=True):
        for place, (name, runs) in enumerate(rows.items()):
            mean = interval(runs, measure)
            color = BEST if name.startswith("guided") else REST
            ax.bar(place, mean.value, color=color, width=0.7)
            ax.plot([place, place], mean.ends, color=INK, lw=1.4)
        ax.set_xticks(range(len(rows)), list(rows), rotation=30, ha="right", fontsize=8)
        ax.set_title(pair, fontsize=9, loc="left")
        ax.set_ylabel(f"{measure} (%), bar: 95 % interval", fontsize=8)
        ax.spines[["top", "right"]].set_visible(False)
    return figure

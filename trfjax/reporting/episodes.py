"""Tables and figures of few-shot episodes."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trfjax.episodes.bulk import BulkResult
from trfjax.files import atomic_path
from trfjax.statistics.interval import Interval, mean_interval, paired_interval
from trfjax.studies.episodes import EpisodeTiming

Published: TypeAlias = Mapping[str, float]  # per cent, by method
BAR, INK, PUBLISHED = "#7ba7cc", "#1f2933", "#b3541e"


def line(method: str, found: Mapping[str, BulkResult], published: Published) -> str:
    """Return a row of the table: published, own, and the difference to vanilla."""
    result, paper = found[method], published.get(method)
    text = f"{method:24} {f'{paper:.2f}' if paper else '':>6}  {accuracy(result)}"
    likelihood = f"  {result.log_likelihood.mean():.3f} nats"
    if "vanilla" in found and method != "vanilla":
        gain = difference(result, found["vanilla"])
        text += f"  {gain.value:+.2f} [{gain.low:+.2f}, {gain.high:+.2f}]"
        gain = likelihood_gain(result, found["vanilla"])
        likelihood += f"  {gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]"
    text += likelihood
    if result.alignment:
        course = result.alignment["task_difference"].mean(axis=0)
        text += f"  W_T {course[0]:.2f} to {course[-1]:.2f}"
    return text + f"  {result.diverged} diverged" * (result.diverged > 0)


def accuracy(result: BulkResult) -> Interval:
    """Return the mean accuracy in per cent."""
    return mean_interval(100 * result.accuracy)


def difference(result: BulkResult, against: BulkResult) -> Interval:
    """Return the paired gain in points."""
    return paired_interval(100 * result.accuracy, 100 * against.accuracy)


def likelihood_gain(result: BulkResult, against: BulkResult) -> Interval:
    """Return the paired gain in log-likelihood of the queries, in nats."""
    return paired_interval(result.log_likelihood, against.log_likelihood)


def as_csv(title: str, published: Published, found: Mapping[str, BulkResult]) -> str:
    """Return one row per method, with the accuracy of every episode at its end."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    columns = [
        "mean",
        "low",
        "high",
        "gain",
        "gain_low",
        "gain_high",
        "log_likelihood",
        "log_likelihood_gain",
        "log_likelihood_gain_low",
        "log_likelihood_gain_high",
        "diverged",
    ]
    count = len(found["vanilla"].accuracy)
    numbers = [f"episode_{i}" for i in range(count)]
    writer.writerow(["task", "method", "published", *columns, *numbers])
    for method, result in found.items():
        reached, gain = accuracy(result), difference(result, found["vanilla"])
        nats = likelihood_gain(result, found["vanilla"])
        values = (
            reached.value,
            reached.low,
            reached.high,
            gain.value,
            gain.low,
            gain.high,
        )
        values += (result.log_likelihood.mean(), nats.value, nats.low, nats.high)
        row = [title, method, published.get(method, "")]
        row += [f"{v:.3f}" for v in values]
        row += [result.diverged, *(f"{v:.4f}" for v in result.accuracy)]
        writer.writerow(row)
    return file.getvalue()


def draw(
    path: Path, title: str, published: Published, found: Mapping[str, BulkResult]
) -> None:
    """Draw accuracies and gains as bars with 95 % intervals, and W_T by step."""
    curves = {
        name: r.alignment["task_difference"] for name, r in found.items() if r.alignment
    }
    panels = 3 if curves else 2
    fig = Figure(figsize=(4.4 * panels, 1.7 + 0.32 * len(found)), layout="constrained")
    left, middle, *rest = fig.subplots(1, panels)
    bars(left, {name: accuracy(result) for name, result in found.items()})
    known = {row: published[m] for row, m in enumerate(found) if m in published}
    style = {"color": PUBLISHED, "ms": 4.5, "label": "published"}
    left.plot(list(known.values()), list(known), "D", **style)
    left.set(xlim=(0, 100))
    left.set_title("accuracy, per cent", fontsize=9, loc="left")
    if known:
        left.legend(frameon=False, fontsize=7, loc="lower right", bbox_to_anchor=(1, 1))
    others = {k: r for k, r in found.items() if k != "vanilla"}
    bars(middle, {k: difference(r, found["vanilla"]) for k, r in others.items()})
    middle.axvline(0, color=INK, linewidth=0.8)
    middle.margins(x=0.08)
    middle.set_title("gain over vanilla, points, paired", fontsize=9, loc="left")
    for ax in rest:
        for name, course in curves.items():
            steps = range(1, course.shape[1] + 1)
            ax.plot(steps, course.mean(axis=0), label=name, linewidth=1.2)
        ax.set(ylim=(0, None))
        ax.set_title("W_T of the batch, nats, by step", fontsize=9, loc="left")
        ax.legend(frameon=False, fontsize=7)
    for ax in fig.axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(labelsize=8)
    count = len(found["vanilla"].accuracy)
    fig.suptitle(f"{title}; {count} episodes, 95 % intervals", fontsize=10)
    with atomic_path(path) as part:
        fig.savefig(part, dpi=130, format="png")


def bars(ax: Axes, values: Mapping[str, Interval]) -> None:
    """Draw one bar per name, from the top, with its interval."""
    for row, value in enumerate(values.values()):
        ax.barh(row, value.value, height=0.6, color=BAR)
        ax.plot([value.low, value.high], [row, row], color=INK, linewidth=1.4)
    ax.set_yticks(range(len(values)), list(values))
    ax.invert_yaxis()


def timing_line(found: EpisodeTiming) -> str:
    """Return what all episodes in one program take, against one after the other."""
    each, count = found.each, found.episodes
    return (
        f"  vanilla, {count} episodes in one program: {found.together:.1f} s, "
        f"{found.together_first:.1f} s with compilation; one by one: "
        f"{np.mean(each):.2f} s each (mean of {len(each)}), so "
        f"{count * np.mean(each):.0f} s for all, and {found.alone_first:.1f} s for the "
        "first with compilation"
    )

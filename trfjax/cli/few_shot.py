"""Tables, figures and timings of few-shot episodes."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trfjax.data import Dataset
from trfjax.files import atomic_path
from trfjax.state import TrainedModel
from trfjax.transfer.bulk import BulkResult, fine_tune_episodes
from trfjax.transfer.episodes import Episodes, Interval, mean_interval, paired_interval
from trfjax.transfer.recipe import Recipe

Published: TypeAlias = Mapping[str, float]  # per cent, by method


def line(method: str, found: Mapping[str, BulkResult], published: Published) -> str:
    """Return a row of the table: published, own, and the difference to vanilla."""
    result, paper = found[method], published.get(method)
    text = f"{method:24} {f'{paper:.2f}' if paper else '':>6}  {accuracy(result)}"
    if "vanilla" in found and method != "vanilla":
        gain = difference(result, found["vanilla"])
        text += f"  {gain.mean:+.2f} [{gain.low:+.2f}, {gain.high:+.2f}]"
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
        "diverged",
    ]
    count = len(found["vanilla"].accuracy)
    numbers = [f"episode_{i}" for i in range(count)]
    writer.writerow(["task", "method", "published", *columns, *numbers])
    for method, result in found.items():
        own, gain = accuracy(result), difference(result, found["vanilla"])
        values = (own.mean, own.low, own.high, gain.mean, gain.low, gain.high)
        row = [title, method, published.get(method, "")]
        row += [f"{v:.3f}" for v in (*values, result.log_likelihood.mean())]
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
    fig = Figure(figsize=(13, 1.5 + 0.35 * len(found)), layout="constrained")
    left, middle, right = fig.subplots(1, 3)
    bars(left, {name: accuracy(result) for name, result in found.items()})
    for row, name in enumerate(found):
        if name in published:
            left.plot(published[name], row, "D", color="#b3541e")
    left.set(title="accuracy, %; diamonds: published", xlim=(50, 100))
    others = {k: r for k, r in found.items() if k not in ("vanilla", "scratch")}
    bars(middle, {k: difference(r, found["vanilla"]) for k, r in others.items()})
    middle.axvline(0, color="#1f2933", linewidth=0.8)
    middle.set(title="gain over vanilla, points, paired")
    for name, course in curves.items():
        right.plot(course.mean(axis=0), label=name)
    right.set(title="W_T, nats, by step of the alignment")
    right.legend(frameon=False, fontsize=7)
    fig.suptitle(f"{title}, {len(found['vanilla'].accuracy)} episodes, 95 %")
    with atomic_path(path) as part:
        fig.savefig(part, dpi=130, format="png")


def bars(ax: Axes, values: Mapping[str, Interval]) -> None:
    """Draw one bar per name, from the top, with its interval."""
    means = [v.mean for v in values.values()]
    reach = [[v.mean - v.low, v.high - v.mean] for v in values.values()]
    ax.barh(range(len(values)), means, xerr=np.transpose(reach), color="#0b63a5",
            alpha=0.7, capsize=3)  # fmt: skip
    ax.set_yticks(range(len(values)), list(values))
    ax.invert_yaxis()


def compare_time(
    source: TrainedModel,
    pool: Dataset,
    episodes: Episodes,
    recipe: Recipe,
    separate: int,
) -> str:
    """Time all episodes in one program against some of them in calls of their own.

    Both programs are compiled before, so that compilation is in neither figure; it is
    named apart.
    """

    def seconds(part: Episodes) -> float:
        started = time.perf_counter()
        fine_tune_episodes(source, pool, part, recipe=recipe)
        return time.perf_counter() - started

    first = seconds(episodes)
    again = seconds(episodes)
    alone = episodes.select(slice(0, 1))
    compiled = seconds(alone)
    each = [seconds(episodes.select([i])) for i in range(separate)]
    return (
        f"  vanilla, {len(episodes)} episodes in one program: {again:.1f} s, "
        f"{first:.1f} s with compilation; one by one: {np.mean(each):.2f} s each "
        f"(mean of {len(each)}), so {len(episodes) * np.mean(each):.0f} s for all, "
        f"and {compiled:.1f} s for the first with compilation"
    )

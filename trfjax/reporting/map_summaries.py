"""Maps summed up as bars: by target class, and near borders against the inside."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trfjax.maps.errors import Part
from trfjax.maps.result import PixelMap
from trfjax.reporting.canvas import BEST, INK, QUIET, REST, RULE
from trfjax.reporting.words import axis_label, percent, plain


def plot_classes(found: PixelMap, class_names: Sequence[str]) -> Figure:
    """Draw the mean of every target class with its 95% interval, the worst on top.

    Args:
        found: the score of every pixel.
        class_names: of the target, by label.
    """
    classes = sorted(found.classes, key=lambda one: one.interval.value)
    fig = Figure(figsize=(5.6, 0.3 * len(classes) + 0.9), layout="constrained")
    ax = fig.subplots()
    total = sum(one.pixels for one in classes)
    for row, one in enumerate(classes):
        ax.barh(row, one.interval.value, color=BEST, alpha=0.8, height=0.62)
        ax.plot(one.interval.ends, [row, row], color=INK, lw=1.2)
    names = [
        f"{plain(class_names[one.label])}, {percent(one.pixels / total)}"
        for one in classes
    ]
    ax.set_yticks(range(len(classes)), names)
    ax.set_ylim(len(classes) - 0.4, -0.6)
    ax.axvline(found.score, color=QUIET, lw=0.9, ls=":")
    ax.set_xlabel(f"{axis_label(found.metric)}, 95% interval over images; dotted: all")
    ax.set_ylabel("class, share of the pixels")
    ax.grid(axis="x", color=RULE, lw=0.6)
    ax.set_axisbelow(True)
    _bare(ax)
    return fig


def plot_borders(
    errors: tuple[Part, Part], scores: tuple[Part, Part], *, metric: str
) -> Figure:
    """Draw error and score near borders of classes against the inside.

    Args:
        errors: of `border_and_inside` on the errors.
        scores: likewise on the scores of the pixels.
        metric: the score.
    """
    fig = Figure(figsize=(5.6, 2.3), layout="constrained")
    axes = fig.subplots(1, 2)
    labels = "share wrong before fine-tuning", axis_label(metric)
    for ax, parts, label in zip(axes, (errors, scores), labels, strict=True):
        for row, (part, colour) in enumerate(zip(parts, (BEST, REST), strict=True)):
            bar = np.nan_to_num(part.standard_error)
            ax.barh(
                row,
                part.mean,
                color=colour,
                height=0.6,
                xerr=bar,
                error_kw={"lw": 1.2, "ecolor": INK},
            )
        ax.set_yticks([0, 1], ["near borders", "inside"])
        ax.set_ylim(1.6, -0.6)
        ax.set_xlabel(f"{label}\nlines: ± standard error")
        _bare(ax)
    return fig


def _bare(ax: Axes) -> None:
    """Leave bars, a line at 0 and small words."""
    ax.axvline(0, color=QUIET, lw=0.8)
    ax.tick_params(length=0, labelsize=8)
    for text in (ax.xaxis.label, ax.yaxis.label):
        text.set(fontsize=8, color=QUIET)
    for spine in ax.spines.values():
        spine.set_visible(False)

"""Figures of a ranking; each accepts `ax` and returns figure and axes.

Nothing here touches pyplot or the global settings of matplotlib, so the figures can be
drawn in threads and on machines without a display.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import blended_transform_factory

from trfjax.ranking.cell import Cell
from trfjax.ranking.result import Ranking
from trfjax.reporting.canvas import (
    BEST,
    FAILED,
    INK,
    QUIET,
    REST,
    RULE,
    Axis,
    Drawn,
    canvas,
    colour_scale,
    quiet,
)
from trfjax.reporting.words import axis_label, percent, plain, title
from trfjax.statistics.correlation import spearman


def plot(ranking: Ranking, ax: Axis = None, metric: str | None = None) -> Drawn:
    """Draw the estimate of every source with its 90% interval, best on top.

    A small open circle is the score itself, where the bias of few images was taken off.
    Where a score was not resampled the bar is one standard error to each side. Sources
    that failed stand at the bottom with their reason. A dotted line is what a source
    that knows nothing reaches.

    Args:
        ranking: what `rank` returned.
        ax: where to draw; a figure of its own by default.
        metric: the score; the first one by default.

    Returns:
        Figure and axes.
    """
    cells = ranking.column(metric)
    chances = ranking.probability_best(metric)
    fig, ax = canvas(ax, (5.0, 0.32 * len(cells) + 0.9))
    beside = blended_transform_factory(ax.transAxes, ax.transData)
    for row, cell in enumerate(cells):
        if not np.isfinite(cell.score):
            reason = textwrap.shorten(cell.error or "undefined", 48, placeholder=" …")
            ax.text(
                0.02,
                row,
                plain(reason, 48),
                transform=beside,
                color=FAILED,
                va="center",
                fontsize=8,
            )
            continue
        color = BEST if row == 0 else REST
        low, high = _bar(cell)
        ax.plot([low, high], [row, row], color=color, lw=2.4, alpha=0.45)
        ax.plot([cell.estimate], [row], "o", color=color, ms=7, mec="white", mew=0.8)
        if cell.estimate != cell.score:
            ax.plot([cell.score], [row], "o", color="none", ms=4, mec=color, mew=0.8)
        if cell.source in chances:
            ax.text(
                1.02,
                row,
                percent(chances[cell.source]),
                transform=beside,
                color=color,
                va="center",
                fontsize=9,
            )
    if chances:
        ax.text(1.02, -0.75, "P(best)", transform=beside, color=QUIET, fontsize=8)
    if not any(np.isfinite(cell.score) for cell in cells):
        ax.set_xticks([])
    ax.set_yticks(range(len(cells)), [plain(cell.source, 28) for cell in cells])
    ax.set_ylim(len(cells) - 0.4, -0.6)
    _draw_floor(ax, cells)
    name = metric or ranking.metrics[0]
    kind = "90% interval" if chances else "± standard error"
    ax.set_xlabel(f"{axis_label(name)}, bars: {kind}")
    quiet(ax)
    ax.grid(axis="x", color=RULE, lw=0.6)
    ax.spines["left"].set_visible(False)
    return fig, ax


def _draw_floor(ax: Axes, cells: Sequence[Cell]) -> None:
    """Mark the score of a useless source, in view whatever the bars reach."""
    floors = {cell.floor for cell in cells if cell.floor is not None}
    for floor in floors:
        ax.axvline(floor, color=QUIET, lw=0.9, ls=":", zorder=0)
    if floors:
        ax.annotate(
            "knows nothing",
            (min(floors), 0),
            (3, 3),
            fontsize=7,
            color=QUIET,
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
        )


def plot_agreement(ranking: Ranking, ax: Axis = None) -> Drawn:
    """Draw the Spearman correlation of every pair of metrics over the sources.

    Colours run from -1 to 1; a pair is left blank with fewer than two common sources.

    Raises:
        ValueError: fewer than two metrics.
    """
    names = ranking.metrics
    if len(names) < 2:
        raise ValueError(f"ranking: agreement needs two metrics, there is {names}")
    table = np.full((len(names) - 1, len(names) - 1), np.nan)
    for i, first in enumerate(names[1:]):
        for j, second in enumerate(names[: i + 1]):
            table[i, j] = agreement(ranking, first, second)
    fig, ax = canvas(ax, (0.62 * len(names) + 1.7, 0.42 * len(names) + 0.8))
    drawn = ax.pcolormesh(
        table, cmap="RdBu", vmin=-1, vmax=1, edgecolors="white", linewidth=1.5
    )
    for (row, column), value in np.ndenumerate(table):
        if column <= row:
            text = "–" if np.isnan(value) else f"{value:.2f}".replace("-", "−")
            ax.text(
                column + 0.5,
                row + 0.5,
                text,
                ha="center",
                va="center",
                fontsize=9,
                color="white" if abs(value) > 0.65 else INK,
            )
    places = np.arange(len(names) - 1) + 0.5
    shown = [plain(title(name)) for name in names]
    ax.set_xticks(places, shown[:-1])
    ax.set_yticks(places, shown[1:])
    ax.invert_yaxis()
    quiet(ax, spines=False)
    colour_scale(fig, ax, drawn, "Spearman correlation")
    return fig, ax


def agreement(ranking: Ranking, first: str, second: str) -> float:
    """Return the Spearman correlation of two metrics over the sources both scored."""
    columns = ranking.column(first), ranking.column(second)
    a, b = (
        {c.source: c.estimate for c in column if np.isfinite(c.score)}
        for column in columns
    )
    both = [name for name in a if name in b]
    return spearman(np.array([a[n] for n in both]), np.array([b[n] for n in both]))


def _bar(cell: Cell) -> tuple[float, float]:
    low, high = cell.interval()
    half = np.nan_to_num(cell.standard_error)
    value = cell.estimate
    return (value - half, value + half) if np.isnan(low) else (low, high)

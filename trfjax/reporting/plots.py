"""Figures of a ranking; each accepts `ax` and returns figure and axes.

Nothing here touches pyplot or the global settings of matplotlib, so the figures can be
drawn in threads and on machines without a display.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox, blended_transform_factory

from trfjax.ranking.cell import Cell
from trfjax.ranking.result import Ranking
from trfjax.reporting.words import axis_label, percent, plain, title
from trfjax.statistics.correlation import pearson, spearman

INK, QUIET, RULE = "#1f2933", "#66717f", "#d9dee4"
BEST, OTHER, FAILED = "#0b63a5", "#7b8794", "#b3541e"
LITTLE = 0.01  # source classes with less mass than this are faded

Axis = Axes | None
Drawn = tuple[Figure, Axes]


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
    fig, ax = _canvas(ax, (5.0, 0.32 * len(cells) + 0.9))
    beside = blended_transform_factory(ax.transAxes, ax.transData)
    for row, cell in enumerate(cells):
        if not np.isfinite(cell.score):
            reason = textwrap.shorten(cell.error or "undefined", 48, placeholder=" …")
            ax.text(0.02, row, plain(reason, 48), transform=beside, color=FAILED,
                    va="center", fontsize=8)  # fmt: skip
            continue
        color = BEST if row == 0 else OTHER
        low, high = _bar(cell)
        ax.plot([low, high], [row, row], color=color, lw=2.4, alpha=0.45)
        ax.plot([cell.estimate], [row], "o", color=color, ms=7, mec="white", mew=0.8)
        if cell.estimate != cell.score:
            ax.plot([cell.score], [row], "o", color="none", ms=4, mec=color, mew=0.8)
        if cell.source in chances:
            ax.text(1.02, row, percent(chances[cell.source]), transform=beside,
                    color=color, va="center", fontsize=9)  # fmt: skip
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
    _quiet(ax)
    ax.grid(axis="x", color=RULE, lw=0.6)
    ax.spines["left"].set_visible(False)
    return fig, ax


def _draw_floor(ax: Axes, cells: Sequence[Cell]) -> None:
    """Mark the score of a useless source, in view whatever the bars reach."""
    floors = {cell.floor for cell in cells if cell.floor is not None}
    for floor in floors:
        ax.axvline(floor, color=QUIET, lw=0.9, ls=":", zorder=0)
    if floors:
        ax.annotate("knows nothing", (min(floors), 0), (3, 3), fontsize=7, color=QUIET,
                    xycoords=("data", "axes fraction"),
                    textcoords="offset points")  # fmt: skip


def plot_joint(
    cell: Cell,
    source_classes: Sequence[str],
    target_classes: Sequence[str],
    ax: Axis = None,
) -> Drawn:
    """Draw where the coupling sends every source class, as P(target class | source).

    Classes without mass are left out; source classes with less than 1% of the mass are
    faded, their rows say little. Colours run from 0 to 1.

    Raises:
        ValueError: a cell without a label joint, or names that do not fit it.
    """
    joint = np.asarray(cell.details.get("label_joint", ()), float)
    if joint.ndim != 2:
        raise ValueError(f"cell: {cell.metric} of {cell.source!r} has no label joint")
    if joint.shape != (len(source_classes), len(target_classes)):
        raise ValueError(
            f"source_classes, target_classes: {len(source_classes)} and "
            f"{len(target_classes)} names for a joint of {joint.shape}"
        )
    joint = np.where(np.isfinite(joint), joint, 0)
    rows, columns = joint.sum(1) > 0, joint.sum(0) > 0
    mass = joint[rows].sum(1) / joint.sum()
    given = joint[rows][:, columns] / joint[rows].sum(1, keepdims=True)
    sources = [n for n, kept in zip(source_classes, rows, strict=True) if kept]
    targets = [n for n, kept in zip(target_classes, columns, strict=True) if kept]

    fig, ax = _canvas(ax, (0.34 * len(targets) + 2.9, 0.26 * len(sources) + 1.6))
    drawn = ax.pcolormesh(given, cmap="Blues", vmin=0, vmax=1,
                          edgecolors="white", linewidth=0.8)  # fmt: skip
    for (row, column), value in np.ndenumerate(given):
        if value >= 0.095:
            color = "white" if value > 0.55 and mass[row] >= LITTLE else INK
            ax.text(column + 0.5, row + 0.5, f"{100 * value:.0f}", color=color,
                    ha="center", va="center", fontsize=7.5)  # fmt: skip
    names = [f"{plain(n)} {_mass(m)}" for n, m in zip(sources, mass, strict=True)]
    ax.set_yticks(np.arange(len(sources)) + 0.5, names)
    for text, m in zip(ax.get_yticklabels(), mass, strict=True):
        if m < LITTLE:
            text.set(color=QUIET, fontstyle="italic")
    ax.set_xticks(np.arange(len(targets)) + 0.5, [plain(n) for n in targets],
                  rotation=45, ha="right", rotation_mode="anchor")  # fmt: skip
    ax.set_ylabel("source class, share of its pixels")
    ax.set_xlabel("target class")
    ax.invert_yaxis()
    _quiet(ax, spines=False)
    _colour_scale(fig, ax, drawn, "P(target class | source class)")
    faded = np.where(mass < LITTLE, 0.35, 1)[:, None] * np.ones_like(given)
    drawn.set_alpha(faded)  # pyright: ignore[reportArgumentType] - one for each cell
    return fig, ax


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
    fig, ax = _canvas(ax, (0.62 * len(names) + 1.7, 0.42 * len(names) + 0.8))
    drawn = ax.pcolormesh(table, cmap="RdBu", vmin=-1, vmax=1,
                          edgecolors="white", linewidth=1.5)  # fmt: skip
    for (row, column), value in np.ndenumerate(table):
        if column <= row:
            text = "–" if np.isnan(value) else f"{value:.2f}".replace("-", "−")
            ax.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=9,
                    color="white" if abs(value) > 0.65 else INK)  # fmt: skip
    places = np.arange(len(names) - 1) + 0.5
    shown = [plain(title(name)) for name in names]
    ax.set_xticks(places, shown[:-1])
    ax.set_yticks(places, shown[1:])
    ax.invert_yaxis()
    _quiet(ax, spines=False)
    _colour_scale(fig, ax, drawn, "Spearman correlation")
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


def plot_transfer(
    scores: Mapping[str, float],
    measured: Mapping[str, float],
    *,
    intervals: Mapping[str, tuple[float, float]] | None = None,
    spread: Mapping[str, float] | None = None,
    score: str = "score",
    quantity: str = "measured transfer",
    ax: Axis = None,
) -> Drawn:
    """Draw score against measured transfer, one named point a source.

    Args:
        scores: by source.
        measured: mean over seeds, by source; sources missing on one side are left out.
        intervals: ends of the horizontal bars.
        spread: half lengths of the vertical bars, over seeds.
        score: what is on the horizontal axis, a metric or a text.
        quantity: what is on the vertical axis.
        ax: where to draw.
    """
    names = [
        n for n in scores if np.isfinite([scores[n], measured.get(n, np.nan)]).all()
    ]
    x, y = np.array([scores[n] for n in names]), np.array([measured[n] for n in names])
    fig, ax = _canvas(ax, (5.0, 3.7))
    for name, sx, sy in zip(names, x, y, strict=True):
        half = np.nan_to_num((spread or {}).get(name, 0))
        left, right = (intervals or {}).get(name, (sx, sx))
        for bar in [(left, right), (sy, sy)], [(sx, sx), (sy - half, sy + half)]:
            ax.plot(*bar, color=OTHER, lw=1.1, alpha=0.55, zorder=1)
    ax.scatter(x, y, s=46, color=BEST, edgecolors="white", linewidths=0.8, zorder=2)
    ax.set_title(
        f"Pearson {pearson(x, y):.2f} · Spearman {spearman(x, y):.2f} · "
        f"{len(names)} sources".replace("-", "−"),
        loc="left", fontsize=9, color=INK,
    )  # fmt: skip
    ax.set_xlabel(axis_label(score))
    ax.set_ylabel(axis_label(quantity))
    ax.margins(0.12)
    _quiet(ax)
    ax.grid(color=RULE, lw=0.6)
    ax.set_axisbelow(True)
    _name_points(fig, ax, [plain(name) for name in names], x, y)
    return fig, ax


def _name_points(
    fig: Figure, ax: Axes, names: list[str], x: np.ndarray, y: np.ndarray
) -> None:
    """Put a name beside every point, where it covers neither a point nor a name."""
    fig.draw_without_rendering()  # settles the layout that the boxes are measured in
    half = 5 * fig.dpi / 72
    spots = ax.transData.transform(np.column_stack([x, y]))
    taken = [Bbox.from_extents(*(spot - half), *(spot + half)) for spot in spots]
    for name, at in zip(names, zip(x, y, strict=True), strict=True):
        text = _name_point(ax, name, at, taken)
        taken.append(text.get_window_extent())


def _name_point(
    ax: Axes, name: str, at: tuple[float, float], taken: list[Bbox]
) -> Annotation:
    inside = ax.get_window_extent()
    text = ax.annotate(name, at, (6, 8), textcoords="offset points", va="center",
                       fontsize=8, color=INK)  # fmt: skip
    text.set_in_layout(False)
    for dx, dy, side in _places():
        text.set(position=(dx, dy), horizontalalignment=side)
        box = text.get_window_extent()
        within = inside.x0 <= box.x0 and box.x1 <= inside.x1
        within &= inside.y0 <= box.y0 and box.y1 <= inside.y1
        if within and not any(box.overlaps(other) for other in taken):
            if abs(dy) > 15:
                line = dict(arrowstyle="-", color=RULE, lw=0.8)
                ax.annotate("", at, (dx, dy), textcoords="offset points",
                            arrowprops=line)  # fmt: skip
            return text
    text.set(position=(6, 8), horizontalalignment="left")  # a crowd: covered, not lost
    return text


def _places() -> Iterator[tuple[float, float, str]]:
    """Yield offsets in points around a dot, the nearest ones first, clear of bars."""
    for up in (8, -8, 18, -18, 30, -30, 44, -44):
        yield 6, up, "left"
        yield -6, up, "right"
        yield 0, 1.4 * up, "center"


def _bar(cell: Cell) -> tuple[float, float]:
    low, high = cell.interval()
    half = np.nan_to_num(cell.standard_error)
    value = cell.estimate
    return (value - half, value + half) if np.isnan(low) else (low, high)


def _canvas(ax: Axis, size: tuple[float, float]) -> Drawn:
    if ax is not None:
        fig = ax.get_figure(root=True)
        assert fig is not None
        return fig, ax
    fig = Figure(figsize=size, layout="constrained")
    return fig, fig.subplots()


def _quiet(ax: Axes, *, spines: bool = True) -> None:
    """Take away what is not data."""
    for side, spine in ax.spines.items():
        spine.set_visible(spines and side in ("left", "bottom"))
        spine.set_color(RULE)
    ax.tick_params(length=0, labelsize=9)
    for text in (ax.xaxis.label, ax.yaxis.label):
        text.set(fontsize=9, color=QUIET)


def _colour_scale(fig: Figure, ax: Axes, drawn: ScalarMappable, label: str) -> None:
    scale = fig.colorbar(drawn, ax=ax, shrink=0.8, aspect=24, pad=0.02)
    scale.outline.set_visible(False)
    scale.ax.tick_params(length=0, labelsize=8)
    scale.set_label(label, fontsize=8, color=QUIET)


def _mass(share: float) -> str:
    return percent(share) if share >= LITTLE else "<1%"

"""Score against measured transfer, one named point a source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from trfjax.reporting.canvas import BEST, INK, REST, RULE, Axis, Drawn, canvas, quiet
from trfjax.reporting.words import axis_label, plain
from trfjax.statistics.correlation import pearson, spearman


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
    fig, ax = canvas(ax, (5.0, 3.7))
    for name, sx, sy in zip(names, x, y, strict=True):
        half = np.nan_to_num((spread or {}).get(name, 0))
        left, right = (intervals or {}).get(name, (sx, sx))
        for bar in [(left, right), (sy, sy)], [(sx, sx), (sy - half, sy + half)]:
            ax.plot(*bar, color=REST, lw=1.1, alpha=0.55, zorder=1)
    ax.scatter(x, y, s=46, color=BEST, edgecolors="white", linewidths=0.8, zorder=2)
    ax.set_title(
        f"Pearson {pearson(x, y):.2f} · Spearman {spearman(x, y):.2f} · "
        f"{len(names)} sources".replace("-", "−"),
        loc="left",
        fontsize=9,
        color=INK,
    )
    ax.set_xlabel(axis_label(score))
    ax.set_ylabel(axis_label(quantity))
    ax.margins(0.12)
    quiet(ax)
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
    text = ax.annotate(
        name, at, (6, 8), textcoords="offset points", va="center", fontsize=8, color=INK
    )
    text.set_in_layout(False)
    for dx, dy, side in _places():
        text.set(position=(dx, dy), horizontalalignment=side)
        box = text.get_window_extent()
        within = inside.x0 <= box.x0 and box.x1 <= inside.x1
        within &= inside.y0 <= box.y0 and box.y1 <= inside.y1
        if within and not any(box.overlaps(other) for other in taken):
            if abs(dy) > 15:
                line = dict(arrowstyle="-", color=RULE, lw=0.8)
                ax.annotate(
                    "", at, (dx, dy), textcoords="offset points", arrowprops=line
                )
            return text
    text.set(position=(6, 8), horizontalalignment="left")  # a crowd: covered, not lost
    return text


def _places() -> Iterator[tuple[float, float, str]]:
    """Yield offsets in points around a dot, the nearest ones first, clear of bars."""
    for up in (8, -8, 18, -18, 30, -30, 44, -44):
        yield 6, up, "left"
        yield -6, up, "right"
        yield 0, 1.4 * up, "center"

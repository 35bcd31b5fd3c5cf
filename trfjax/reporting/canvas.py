"""The style of all figures: colours, axes without what is not data, colour bars."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

INK, QUIET, RULE = "#1f2933", "#66717f", "#d9dee4"
BEST, REST, FAILED = "#0b63a5", "#7b8794", "#b3541e"

Axis = Axes | None
Drawn = tuple[Figure, Axes]


def canvas(ax: Axis, size: tuple[float, float]) -> Drawn:
    """Return the axes given with their figure, or a figure of that size in inches."""
    if ax is not None:
        fig = ax.get_figure(root=True)
        assert fig is not None
        return fig, ax
    fig = Figure(figsize=size, layout="constrained")
    return fig, fig.subplots()


def quiet(ax: Axes, *, spines: bool = True) -> None:
    """Take away what is not data."""
    for side, spine in ax.spines.items():
        spine.set_visible(spines and side in ("left", "bottom"))
        spine.set_color(RULE)
    ax.tick_params(length=0, labelsize=9)
    for text in (ax.xaxis.label, ax.yaxis.label):
        text.set(fontsize=9, color=QUIET)


def colour_scale(fig: Figure, ax: Axes, drawn: ScalarMappable, label: str) -> None:
    """Draw what the colours of a picture mean beside it."""
    scale = fig.colorbar(drawn, ax=ax, shrink=0.8, aspect=24, pad=0.02)
    scale.outline.set_visible(False)
    scale.ax.tick_params(length=0, labelsize=8)
    scale.set_label(label, fontsize=8, color=QUIET)

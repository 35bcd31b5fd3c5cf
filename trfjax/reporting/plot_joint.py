"""Where the coupling sends every source class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trfjax.ranking.cell import Cell
from trfjax.reporting.canvas import INK, QUIET, Axis, Drawn, canvas, colour_scale, quiet
from trfjax.reporting.words import percent, plain

LITTLE = 0.01  # source classes with less mass than this are faded


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

    fig, ax = canvas(ax, (0.34 * len(targets) + 2.9, 0.26 * len(sources) + 1.6))
    drawn = ax.pcolormesh(
        given, cmap="Blues", vmin=0, vmax=1, edgecolors="white", linewidth=0.8
    )
    for (row, column), value in np.ndenumerate(given):
        if value >= 0.095:
            color = "white" if value > 0.55 and mass[row] >= LITTLE else INK
            ax.text(
                column + 0.5,
                row + 0.5,
                f"{100 * value:.0f}",
                color=color,
                ha="center",
                va="center",
                fontsize=7.5,
            )
    names = [f"{plain(n)} {_mass(m)}" for n, m in zip(sources, mass, strict=True)]
    ax.set_yticks(np.arange(len(sources)) + 0.5, names)
    for text, m in zip(ax.get_yticklabels(), mass, strict=True):
        if m < LITTLE:
            text.set(color=QUIET, fontstyle="italic")
    ax.set_xticks(
        np.arange(len(targets)) + 0.5,
        [plain(n) for n in targets],
        rotation=45,
        ha="right",
        rotation_mode="anchor",
    )
    ax.set_ylabel("source class, share of its pixels")
    ax.set_xlabel("target class")
    ax.invert_yaxis()
    quiet(ax, spines=False)
    colour_scale(fig, ax, drawn, "P(target class | source class)")
    faded = np.where(mass < LITTLE, 0.35, 1)[:, None] * np.ones_like(given)
    drawn.set_alpha(faded)  # pyright: ignore[reportArgumentType] - one for each cell
    return fig, ax


def _mass(share: float) -> str:
    return percent(share) if share >= LITTLE else "<1%"

"""Maps as pictures: every one with a colour bar, its unit, and limits that are fixed.

Dark is where transfer is worst; grey is where there is no value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure

from trfjax.data.labels import LabelMap
from trfjax.data.legend import class_colours
from trfjax.maps.result import PixelMap, TransferMap
from trfjax.reporting.canvas import INK, QUIET, RULE
from trfjax.reporting.words import axis_label, plain

COLOURS = colormaps["viridis"].with_extremes(bad=RULE)
WIDE = 9.6  # inches of a figure of several panels
ERROR = ListedColormap(["#ffffff00", "#d62728"])
Limits = tuple[float, float]


def limits_of(*values: np.ndarray) -> Limits:
    """Return limits that hold 98% of all values, the same for all maps compared."""
    held = np.concatenate([np.zeros(0), *(one[np.isfinite(one)] for one in values)])
    if not held.size:
        return 0.0, 1.0
    low, high = (float(x) for x in np.quantile(held, [0.01, 0.99]))
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def plot_maps(
    maps: Mapping[str, TransferMap], *, limits: Limits | None = None, columns: int = 3
) -> Figure:
    """Draw the maps of one or several sources in one figure, with one scale.

    Args:
        maps: by the name of the source, all of one score.
        limits: of the colours; by default those that hold 98% of all values.
        columns: maps in a row.

    Raises:
        ValueError: no map, or maps of different scores.
    """
    metrics = {found.metric for found in maps.values()}
    if len(metrics) != 1:
        raise ValueError(f"maps: expected maps of one score, got {sorted(metrics)}")
    limits = limits or limits_of(*(found.values for found in maps.values()))
    first = next(iter(maps.values()))
    across = min(columns, len(maps))
    down = -(-len(maps) // across)
    wide = WIDE if across > 1 else 6.4
    tall = wide / across * first.size[0] / first.size[1]
    fig = Figure(figsize=(wide, down * (tall + 0.35) + 0.3), layout="constrained")
    axes = np.atleast_1d(fig.subplots(down, across, squeeze=False)).ravel()
    for ax in axes:
        ax.set_axis_off()
    for ax, (name, found) in zip(axes, maps.items(), strict=False):
        _show(ax, found.upsampled(), limits)
        ax.set_title(plain(name, 36), loc="left", fontsize=9, color=INK)
    _bar(fig, axes, metrics.pop(), limits)
    return fig


def overlay(
    image: np.ndarray,
    values: np.ndarray,
    *,
    metric: str,
    limits: Limits | None = None,
    opacity: float = 0.6,
    title: str = "",
) -> Figure:
    """Lay the values of pixels over their image.

    Args:
        image: `(h, w, 3)` or `(h, w)`, 8 bits.
        values: `(h, w)`; pixels without a value show the image alone.
        metric: the score, for the colour bar.
        limits: of the colours; by default those that hold 98% of the values.
        opacity: of the values, 0 to 1.
        title: over the picture.

    Raises:
        ValueError: an opacity out of range, or values of another size.
    """
    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity: {opacity} is outside 0..1")
    if np.shape(image)[:2] != np.shape(values):
        raise ValueError(
            f"values: shape {np.shape(values)} does not fit the image of "
            f"{np.shape(image)[:2]} pixels"
        )
    limits = limits or limits_of(values)
    fig = Figure(
        figsize=(6.4, 6.4 * values.shape[0] / values.shape[1] + 0.5),
        layout="constrained",
    )
    ax = fig.subplots()
    ax.set_axis_off()
    _photo(ax, image)
    _show(ax, values, limits, alpha=opacity * np.isfinite(values))
    ax.set_title(title, loc="left", fontsize=9, color=INK)
    _bar(fig, ax, metric, limits)
    return fig


def plot_image(
    image: np.ndarray,
    labels: np.ndarray,
    errors: np.ndarray,
    values: np.ndarray,
    *,
    metric: str,
    classes: LabelMap,
    limits: Limits | None = None,
    title: str = "",
) -> Figure:
    """Draw image, labels, the source's errors and the map side by side.

    Args:
        image: `(h, w, 3)` or `(h, w)`, 8 bits.
        labels: `(h, w)` target classes, -1 where ignored.
        errors: `(h, w)`, where the source errs.
        values: `(h, w)` of the score.
        metric: the score.
        classes: of the target.
        limits: of the colours of the map.
        title: over the figure.
    """
    limits = limits or limits_of(values)
    tall = WIDE / 2 * values.shape[0] / values.shape[1]
    fig = Figure(figsize=(WIDE, 2 * tall + 1.2), layout="constrained")
    axes = fig.subplots(2, 2)
    share = errors[labels >= 0].mean() if (labels >= 0).any() else np.nan
    words = ("image", "labels", f"wrong before fine-tuning: {share:.0%}", "map")
    for ax, word in zip(axes.ravel(), words, strict=True):
        ax.set_axis_off()
        ax.set_title(word, loc="left", fontsize=9, color=INK)
    _photo(axes[0, 0], image)
    _labels(fig, axes[0, 1], labels, classes)
    _photo(axes[1, 0], image)
    axes[1, 0].imshow(errors, cmap=ERROR, vmin=0, vmax=1, interpolation="nearest")
    _show(axes[1, 1], values, limits)
    _bar(fig, axes[1, 1], metric, limits)
    fig.suptitle(title, x=0.01, ha="left", fontsize=10, color=INK)
    return fig


def contact_sheet(
    images: np.ndarray | Mapping[int, np.ndarray],
    found: PixelMap,
    names: Sequence[str],
    *,
    count: int = 12,
    columns: int = 3,
    opacity: float = 0.6,
    limits: Limits | None = None,
) -> Figure:
    """Draw the images whose mean score is lowest, the worst first.

    Args:
        images: `(h, w, 3)` or `(h, w)`, by their place in the map.
        found: the score of every pixel.
        names: of the images.
        count: how many are drawn at most.
        columns: images in a row.
        opacity: of the values over the image.
        limits: of the colours.
    """
    means = found.image_means()
    order = [int(i) for i in np.argsort(means) if np.isfinite(means[i])][:count]
    limits = limits or limits_of(found.values)
    across = min(columns, len(order))
    down = -(-len(order) // across)
    size = found.values.shape[1] / found.values.shape[2]
    fig = Figure(
        figsize=(WIDE, down * (WIDE / across * size + 0.35) + 0.3), layout="constrained"
    )
    axes = fig.subplots(down, across, squeeze=False).ravel()
    for ax in axes:
        ax.set_axis_off()
    for ax, i in zip(axes, order, strict=False):
        _photo(ax, images[i])
        values = found.values[i]
        _show(ax, values, limits, alpha=opacity * np.isfinite(values))
        text = f"{plain(names[i], 26)}  mean {means[i]:.3f}".replace("-", "−")
        ax.set_title(text, loc="left", fontsize=8, color=INK)
    _bar(fig, axes, found.metric, limits)
    return fig


def _photo(ax: Axes, image: np.ndarray) -> None:
    image = np.asarray(image)
    image = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
    grey: dict[str, Any] = (
        {"cmap": "gray", "vmin": 0, "vmax": 255} if image.ndim == 2 else {}
    )
    ax.imshow(image, interpolation="nearest", **grey)


def _show(
    ax: Axes, values: np.ndarray, limits: Limits, alpha: np.ndarray | None = None
) -> None:
    ax.imshow(
        np.ma.masked_invalid(values),
        cmap=COLOURS,
        vmin=limits[0],
        vmax=limits[1],
        alpha=alpha,
        interpolation="nearest",
    )


def _labels(fig: Figure, ax: Axes, labels: np.ndarray, classes: LabelMap) -> None:
    """Draw the classes that are present, each named beside the picture."""
    present = [int(c) for c in np.unique(labels) if c >= 0]
    colours = np.array(class_colours(classes))[present] / 255
    shown = np.ma.masked_where(labels < 0, np.searchsorted(present, labels))
    cmap = ListedColormap(colours).with_extremes(bad=RULE)
    drawn = ax.imshow(
        shown, cmap=cmap, vmin=-0.5, vmax=len(present) - 0.5, interpolation="nearest"
    )
    bar = fig.colorbar(drawn, ax=ax, ticks=range(len(present)), pad=0.02, aspect=14)
    names = [plain(classes.names[c], 16) for c in present]
    bar.ax.set_yticklabels(names, fontsize=6.5)
    bar.ax.tick_params(length=0)
    bar.outline.set_visible(False)


def _bar(
    fig: Figure, axes: Axes | Sequence[Axes] | np.ndarray, metric: str, limits: Limits
) -> None:
    """Draw the colour bar; its ends are open, since limits leave values out."""
    scale = ScalarMappable(Normalize(*limits), COLOURS)
    bar = fig.colorbar(scale, ax=axes, extend="both", pad=0.02, aspect=24, shrink=0.9)
    bar.set_label(
        f"{axis_label(metric)}\nlight transfers best", fontsize=8, color=QUIET
    )
    bar.ax.tick_params(length=0, labelsize=7)
    bar.outline.set_visible(False)

"""The pictures of maps in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from trfjax.data.dataset import Dataset
from trfjax.files import atomic_path
from trfjax.maps.errors import border_and_inside
from trfjax.reporting.map_summaries import plot_borders, plot_classes
from trfjax.reporting.maps import (
    Limits,
    contact_sheet,
    limits_of,
    overlay,
    plot_image,
    plot_maps,
)
from trfjax.studies.maps import SourceMaps, write_arrays_of


def write_maps(
    found: Sequence[SourceMaps],
    target: Dataset | None,
    folder: Path,
    *,
    images: int = 6,
    opacity: float = 0.6,
    limits: Limits | None = None,
) -> list[Path]:
    """Write the values and pictures of the maps of all sources.

    Of every source: the map as `.npy` and `.png`; of a score that is a mean over pixels
    also an overlay and a side-by-side figure of the worst images, a contact sheet, the
    classes and the borders. One figure of all sources. Maps of one kind have the same
    limits.

    Args:
        found: of every source.
        target: the images; None draws no picture of one.
        folder: where to.
        images: of the worst images, how many are drawn.
        opacity: of the map over the image.
        limits: of the colours; by default those that hold 98% of all values.

    Returns:
        The files.

    Raises:
        OSError: a folder that cannot be written to.
    """
    of_cells = limits or limits_of(*(one.cells.values for one in found))
    of_pixels = limits or limits_of(
        *(one.pixels.values for one in found if one.pixels is not None)
    )
    files = []
    for one in found:
        files.append(write_arrays_of(one, folder))
        picture = plot_maps({one.name: one.cells}, limits=of_cells)
        files.append(_save(picture, folder / f"{one.name}.png"))
        if one.pixels is not None:
            files += _summaries(one, target, folder)
            if target is not None:
                files += _of_pixels(one, target, folder, images, opacity, of_pixels)
    if len(found) > 1:
        together = plot_maps({one.source: one.cells for one in found}, limits=of_cells)
        files.append(_save(together, folder / "all-sources.png"))
    return files


def _of_pixels(
    one: SourceMaps,
    target: Dataset,
    folder: Path,
    images: int,
    opacity: float,
    limits: Limits,
) -> list[Path]:
    """Write the pictures of the worst images of one source."""
    pixels = one.pixels
    assert pixels is not None  # asked by the caller
    means, files = pixels.image_means(), []
    worst = [int(i) for i in np.argsort(means)[:images] if np.isfinite(means[i])]
    for i in worst:
        example = target[i]
        title = f"{one.name}: {target.image_ids[i]}"
        stem = f"{one.name}-image-{i:04d}"
        laid = overlay(
            example["image"],
            pixels.values[i],
            metric=pixels.metric,
            limits=limits,
            opacity=opacity,
            title=title,
        )
        sides = plot_image(
            example["image"],
            one.labels[i],
            one.errors[i],
            pixels.values[i],
            metric=pixels.metric,
            classes=target.labels,
            limits=limits,
            title=title,
        )
        files.append(_save(laid, folder / f"{stem}-overlay.png"))
        files.append(_save(sides, folder / f"{stem}.png"))
    shown = {i: target[i]["image"] for i in worst}
    sheet = contact_sheet(
        shown, pixels, target.image_ids, count=images, opacity=opacity, limits=limits
    )
    files.append(_save(sheet, folder / f"{one.name}-worst.png"))
    return files


def _summaries(one: SourceMaps, target: Dataset | None, folder: Path) -> list[Path]:
    """Write the classes and the borders of one source."""
    pixels = one.pixels
    assert pixels is not None  # asked by the caller
    numbers = [f"class {i}" for i in range(int(one.labels.max()) + 1)]
    names = numbers if target is None else target.class_names
    parts = [border_and_inside(v, one.labels) for v in (one.errors, pixels.values)]
    borders = plot_borders(parts[0], parts[1], metric=pixels.metric)
    return [
        _save(plot_classes(pixels, names), folder / f"{one.name}-classes.png"),
        _save(borders, folder / f"{one.name}-borders.png"),
    ]


def _save(figure: Figure, path: Path) -> Path:
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=130)
    return path

"""Maps as one HTML file: pick a source and an image; it opens offline."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from trfjax.data.dataset import Dataset
from trfjax.files import write_text
from trfjax.maps.result import PixelMap
from trfjax.reporting.map_summaries import plot_classes
from trfjax.reporting.maps import COLOURS, Limits, limits_of, plot_maps
from trfjax.reporting.words import axis_label
from trfjax.studies.maps import SourceMaps


def maps_page(
    found: Sequence[SourceMaps], target: Dataset, path: str | Path, **options: Any
) -> Path:
    """Write a page with a picker of sources and images and a slider of opacity.

    Args:
        found: of every source; of a score that is a mean over pixels.
        target: the images.
        path: of the file.
        **options: of `maps_section`.

    Returns:
        The path.

    Raises:
        ValueError: maps without the score of every pixel.
        OSError: a path that cannot be written; what was there stays.
    """
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    html = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined
    )
    section = maps_section(found, target, **options)
    write_text(path, html.get_template("maps.html").render(maps=section))
    return Path(path)


def maps_section(
    found: Sequence[SourceMaps],
    target: Dataset,
    *,
    images: int = 6,
    opacity: float = 0.6,
    limits: Limits | None = None,
) -> dict[str, Any]:
    """Return what the picker shows, for a page of its own or for the report.

    Args:
        found: of every source; of a score that is a mean over pixels.
        target: the images.
        images: of the images that transfer worst, how many of every source.
        opacity: of the maps at first.
        limits: of the colours; by default those that hold 98% of all values.

    Raises:
        ValueError: maps without the score of every pixel.
    """
    scored = {one.source: one.pixels for one in found if one.pixels is not None}
    if len(scored) < len(found) or not found:
        raise ValueError("found: the page shows scores that are means over pixels")
    limits = limits or limits_of(*(pixels.values for pixels in scored.values()))
    return {
        "target": target.name,
        "label": axis_label(found[0].cells.metric),
        "sources": [{"name": name, "score": one.score} for name, one in scored.items()],
        "colours": [to_hex(COLOURS(x)) for x in np.linspace(0, 1, 9)],
        "limits": limits,
        "opacity": opacity,
        "figures": _figures(found, target),
        "data": _script(_data(scored, target, images, limits)),
    }


def _data(
    scored: dict[str, PixelMap], target: Dataset, images: int, limits: Limits
) -> dict[str, Any]:
    """Return names, photographs and, of every source, its worst images as pictures."""
    sources: list[list[dict[str, Any]]] = []
    photos: dict[int, str] = {}
    for pixels in scored.values():
        means = pixels.image_means()
        worst = [int(i) for i in np.argsort(means)[:images] if np.isfinite(means[i])]
        photos |= {i: _png(target[i]["image"]) for i in worst if i not in photos}
        sources.append([_laid(pixels, i, float(means[i]), limits) for i in worst])
    return {
        "photos": photos,
        "names": {i: target.image_ids[i] for i in photos},
        "sources": sources,
    }


def _laid(pixels: PixelMap, i: int, mean: float, limits: Limits) -> dict[str, Any]:
    """Return the map of one image: colours, and nothing where there is no value."""
    low, high = limits
    colours = COLOURS((pixels.values[i] - low) / (high - low), bytes=True)
    colours[..., 3] = np.where(pixels.valid[i], 255, 0)
    return {"image": i, "mean": f"{mean:.3f}", "map": _png(colours)}


def _png(image: np.ndarray) -> str:
    image = np.asarray(image, np.uint8)
    image = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
    memory = io.BytesIO()
    Image.fromarray(image).save(memory, format="png")
    return _address(memory.getvalue())


def _address(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def _script(data: dict[str, Any]) -> Markup:
    """Return JSON that no name in it can end the script of."""
    text = json.dumps(data)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def _figures(found: Sequence[SourceMaps], target: Dataset) -> list[dict[str, str]]:
    cells = plot_maps({one.source: one.cells for one in found})
    figures = [_figure("Cells, pooled over all images", cells)]
    for one in found:
        assert one.pixels is not None  # asked by the caller
        classes = plot_classes(one.pixels, target.class_names)
        figures.append(_figure(f"Which classes transfer from {one.source}", classes))
    return figures


def _figure(title: str, figure: Figure) -> dict[str, str]:
    memory = io.BytesIO()
    figure.savefig(memory, format="png", dpi=130)
    return {"title": title, "src": _address(memory.getvalue())}

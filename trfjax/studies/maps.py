"""The maps of several sources on one target, kept as arrays."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from trfjax.data.dataset import Dataset
from trfjax.files import atomic_path
from trfjax.maps.errors import prediction_errors
from trfjax.maps.inputs import mapped_score
from trfjax.maps.networks import MapArrays, map_arrays
from trfjax.maps.pixel_map import pixel_map
from trfjax.maps.result import PixelMap, TransferMap
from trfjax.maps.transfer_map import transfer_map
from trfjax.ranking.sources import Source


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class SourceMaps:
    """The maps of one source on the target."""

    source: str
    target: str
    cells: TransferMap  # pooled over the images
    pixels: PixelMap | None  # None for a score that is no mean over pixels
    labels: np.ndarray  # (b, h, w) target classes, -1 where ignored
    errors: np.ndarray  # (b, h, w) where the source errs, see `prediction_errors`

    @property
    def name(self) -> str:
        """What its files are called."""
        return f"{_plain(self.source)}-to-{_plain(self.target)}"


def map_source(
    source: Source,
    target: Dataset,
    *,
    metric: str,
    batch_size: int = 8,
    **options: Any,
) -> SourceMaps:
    """Map one source on a target.

    Args:
        source: the candidate, with its data where the score looks at them.
        target: labelled images of one size.
        metric: a score that can be mapped.
        batch_size: images per call of the network.
        **options: of `mapped`.

    Raises:
        ValueError: images, labels or settings that cannot be used.
    """
    found = map_arrays(
        source.model,
        target,
        metric=metric,
        source_data=source.data,
        batch_size=batch_size,
        **source.options,
    )
    return mapped(found, source.name, target.name, metric=metric, **options)


def mapped(
    found: MapArrays,
    source: str,
    target: str,
    *,
    metric: str,
    stride: int = 8,
    min_pixels: int = 16,
    epsilon: float = 0.1,
    seed: int = 0,
) -> SourceMaps:
    """Return the maps of arrays, by cell and, where that is possible, by pixel.

    Args:
        found: what the score reads.
        source: what the source is called.
        target: likewise.
        metric: a score that can be mapped.
        stride: see `transfer_map`, and so the others.
        min_pixels: labelled pixels that a cell needs.
        epsilon: of OTCE.
        seed: of the pixels that OTCE couples.

    Raises:
        ValueError: settings that cannot be used.
    """
    common: dict[str, Any] = {
        "metric": metric,
        "epsilon": epsilon,
        "seed": seed,
        **found.settings,
    }

    def shown(rows: Iterator[int]) -> Iterator[int]:
        count = -(-found.target_labels.shape[1] // stride)
        return iter(tqdm(rows, f"map {source}", count, leave=False, disable=None))

    cells = transfer_map(
        *found.arrays, stride=stride, min_pixels=min_pixels, progress=shown, **common
    )
    pixels = None
    if mapped_score(metric, pixels=False).per_instance is not None:
        pixels = pixel_map(*found.arrays, **common)
    return SourceMaps(
        source=source,
        target=target,
        cells=cells,
        pixels=pixels,
        labels=found.target_labels,
        errors=prediction_errors(found.predictions, found.target_labels),
    )


def write_arrays_of(found: SourceMaps, folder: Path) -> Path:
    """Write the values of the cells as `<source>-to-<target>.npy`; NaN is undefined.

    Raises:
        OSError: a folder that cannot be written to.
    """
    path = folder / f"{found.name}.npy"
    with atomic_path(path) as temporary, open(temporary, "wb") as opened:
        np.save(opened, found.cells.values)
    return path


def _plain(name: str) -> str:
    """Return a name as a part of a file name."""
    return "".join(c if c.isalnum() or c in "._" else "-" for c in name).strip("-.")

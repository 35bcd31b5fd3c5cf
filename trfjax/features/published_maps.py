"""All pixels of the published feature folders, as maps of one size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from trfjax.errors import DataError
from trfjax.features.published import (
    VOID,
    labels_of,
    open_pair,
    pairs_of,
    published_folders,
)


class FolderMaps(NamedTuple):
    """The files of one folder."""

    logits: Float[np.ndarray, "b h w d"]  # 0 where ignored
    labels: Int[np.ndarray, "b h w"]  # -1 where ignored


def published_maps(
    root: str | Path, city: str | None = None
) -> Iterator[tuple[str, str, FolderMaps, FolderMaps]]:
    """Yield model, city, source maps and target maps, one model after the other.

    Args:
        root: the folder of `source_feature` and `target_feature`.
        city: the target; may be left out where there is only one.

    Raises:
        FileNotFoundError, ValueError: folders or a city that are not there.
        DataError: files that are damaged or have different sizes.
    """
    found, city = published_folders(root, city, None)
    for name, source, target in found:
        yield name, city, _maps(source), _maps(target)


def _maps(folder: Path) -> FolderMaps:
    logits: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    for pair in pairs_of(folder):
        ids = labels_of(pair, VOID)
        ids = np.where(ids == VOID[0], -1, ids)
        values = np.moveaxis(np.asarray(open_pair(pair)[0], np.float32), 0, -1)
        if logits and values.shape != logits[0].shape:
            raise DataError(
                pair[0],
                f"maps of {values.shape} beside {logits[0].shape}; all files of a "
                "folder must have one size to be mapped",
            )
        values = np.where(ids[..., None] >= 0, values, np.float32(0))
        if not np.isfinite(values).all():
            raise DataError(pair[0], "NaN or infinite at pixels with a label")
        logits.append(values)
        labels.append(ids)
    return FolderMaps(np.stack(logits), np.stack(labels))

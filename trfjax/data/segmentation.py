"""Segmentation sets in folders: images paired with label maps."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trfjax.data.dataset import Dataset
from trfjax.data.exif import turned
from trfjax.data.images import Colours, read_label, read_stored
from trfjax.data.labels import LabelMap
from trfjax.data.layouts import Layout
from trfjax.data.masks import binary
from trfjax.data.pairs import Pair, find_pairs
from trfjax.data.paths import check_inside
from trfjax.errors import DataError, DataWarning
from trfjax.files import digest
from trfjax.reading import composed, read_lines


def load(
    name: str,
    kind: str,
    root: Path,
    layout: Layout,
    *,
    domain: str = "",
    split: str | None = None,
    labels: str | LabelMap | None = None,
    classes: Sequence[str | int] | None = None,
    colours: Colours | None = None,
    channels: int = 3,
    skip_unpaired: bool = False,
    follow_links: bool = False,
) -> Dataset:
    """Open a segmentation set; see `trfjax.load_dataset`."""
    pairs, files = find_pairs(
        root,
        layout,
        split=split,
        domain=domain,
        skip_unpaired=skip_unpaired,
        follow_links=follow_links,
    )
    label_map = chosen_map(kind, root, files.maps, labels, classes, follow_links)
    if not files.maps and not isinstance(labels, LabelMap) and colours is None:
        label_map = binary(label_map, [pair.label for pair in pairs])
    return _dataset(name, kind, pairs, label_map, colours, channels)


def refuse(kind: str, **options: Any) -> None:
    """Raise for options that mean nothing to this kind of data set."""
    given = [name for name, value in options.items() if value]
    if given:
        raise ValueError(f"{given[0]}: has no meaning for {kind!r}; leave it out")


def chosen_map(
    kind: str,
    root: Path,
    maps: Mapping[str, LabelMap],
    labels: str | LabelMap | None,
    classes: Sequence[str | int] | None,
    follow_links: bool = False,
) -> LabelMap:
    """Return the label map that the options choose, or `classes.txt` names."""
    if isinstance(labels, LabelMap):
        refuse(kind, classes=classes)
        return labels
    if maps:
        refuse(kind, classes=classes)
        chosen = labels or next(iter(maps))
        if chosen not in maps:
            raise ValueError(
                f"labels: no {chosen!r} for {kind!r}; available: {', '.join(maps)}"
            )
        return maps[chosen]
    refuse(kind, labels=labels)
    listed = root / "classes.txt"
    if classes is None and listed.exists():
        if not follow_links:
            check_inside(root, [listed])
        classes = read_lines(listed)
    if not classes:
        raise ValueError(
            f"classes: the class names of {root} are not known; pass "
            "classes=['road', ...] in the order of the ids, or write them to "
            f"{listed}, one a line"
        )
    return LabelMap(tuple(composed(str(item)) for item in classes))


def _dataset(
    name: str,
    kind: str,
    pairs: list[Pair],
    label_map: LabelMap,
    colours: Colours | None,
    channels: int,
) -> Dataset:
    def read(position: int) -> tuple[np.ndarray, np.ndarray]:
        pair = pairs[position]
        stored = read_label(pair.label, colours=colours)
        image = _image_of(pair, stored.shape, channels)
        try:
            return image, label_map(stored)
        except ValueError as error:
            problem = str(error).removeprefix("label: ")
            raise DataError(pair.label, problem) from error

    files = [path for pair in pairs for path in (pair.image, pair.label)]
    return Dataset(
        name=name,
        labels=label_map,
        image_ids=tuple(pair.image_id for pair in pairs),
        read=read,
        groups=tuple(pair.group for pair in pairs),
        fingerprint=digest(
            kind,
            [pair.image_id for pair in pairs],
            [[path.name, *_stamp(path)] for path in files],
            label_map.names,
            sorted((label_map.ids or {}).items()),
            label_map.ignore,
            sorted([*colour, i] for colour, i in (colours or {}).items()),
            channels,
        ),
    )


def _image_of(pair: Pair, shape: tuple[int, ...], channels: int) -> np.ndarray:
    """Return the image on whose pixels the label was drawn.

    Most tools draw on the picture as EXIF turns it. A label of the stored size, where
    that is another, was drawn on the pixels as stored.
    """
    stored, turn = read_stored(pair.image, channels=channels)
    image = turned(stored, turn)
    if shape == stored.shape[:2] != image.shape[:2]:
        return stored
    if shape != image.shape[:2]:
        how = f" (EXIF orientation {turn} turns it)" if turn != 1 else ""
        raise DataError(
            pair.label,
            f"size {shape[1]}x{shape[0]} differs from its image "
            f"{image.shape[1]}x{image.shape[0]}{how}. Export the label again at the "
            "size of the image.",
        )
    if turn != 1 and stored.shape == image.shape:
        warnings.warn(
            f"{pair.image.parent}: images are turned as their EXIF tag says "
            f"(orientation {turn}). Where labels were drawn on the pixels as stored, "
            "save the images again without the tag.",
            DataWarning,
            stacklevel=2,
        )
    return image


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns

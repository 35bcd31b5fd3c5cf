"""`load_dataset`: one door to every data set, by name."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trfjax.data import classification, prepared
from trfjax.data.dataset import Dataset, spread
from trfjax.data.images import Colours, read_image, read_label, resize
from trfjax.data.labels import LabelMap
from trfjax.data.layouts import LAYOUTS, Layout
from trfjax.data.medical.layouts import VOLUME_LAYOUTS, VolumeLayout
from trfjax.data.medical.load import load_volumes
from trfjax.data.medical.patients import find_patients
from trfjax.data.medical.slicing import Slicing
from trfjax.data.pairs import Pair, find_pairs
from trfjax.errors import DataError
from trfjax.files import digest

Read = Callable[[int], tuple[np.ndarray, np.ndarray]]


def load_dataset(
    name: str,
    root: str | Path | None = None,
    *,
    domain: str | Sequence[str] | None = None,
    split: str | None = None,
    labels: str | LabelMap | None = None,
    classes: Sequence[str | int] | None = None,
    size: tuple[int, int] | None = None,
    count: int | None = None,
    colours: Colours | None = None,
    channels: int | None = None,
    skip_unpaired: bool = False,
    follow_links: bool = False,
    cache: int = 0,
    layout: Layout | VolumeLayout | None = None,
    slicing: Slicing | None = None,
    seed: int = 0,
) -> Dataset:
    """Open a data set; images are decoded when they are asked for.

    Args:
        name: `"<kind>"` or `"<kind>:<domain>"`. Kinds are the segmentation layouts
            (`cityscapes`, `bdd100k`, `gta5`, `camvid`, `labelmefacade`,
            `carlascapes`, `folders`), classification sets (`mnist`, `usps`,
            `omniglot`, `pacs`, `image-folder`), volumes of patients (`fets`, `brats`,
            `brats2023`, `iseg`, `patients`, and the invented `brains`),
            `synthetic:<city>` with an optional `:game`, and `tfds:<folder of a
            prepared builder>`. Domains may be joined by commas and cut by fractions in
            order of time: `"camvid:0016E5[:0.5]"`. Domains of volumes are institutions
            and modalities, `"fets:18/T2,20/T2"`; `+` makes channels: `"fets:/T1+T2"`.
        root: folder of the data set; `synthetic` and `tfds:` names need none.
        domain: the domains, when they are not in the name.
        split: a split of the data set; None takes all of them.
        labels: which label map (`"native"`, `"trainids"`, `"common6"`; for volumes the
            task, such as `"WT"`), or your own.
        classes: for classification, the classes to keep, re-indexed in this order;
            for `folders` and `tfds` masks, the names of the label ids 0, 1, ...
        size: `(height, width)` every example is resized to.
        count: this many images, spread evenly over the set (drawn, for synthetic);
            for volumes this many patients, and for `brains` of every hospital.
        colours: `(r, g, b) -> id` of label files that hold colours.
        channels: 3 or 1; None is 3 for segmentation and as stored otherwise.
        skip_unpaired: leave out images without a label and labels without an image.
        follow_links: accept links that lead outside `root`.
        cache: keep up to this many decoded examples in memory (then read-only).
        layout: where images and labels lie, for a data set of your own; `name` is
            then free.
        slicing: how volumes become images: axis, spacing, normalisation.
        seed: of synthetic images; other data sets have nothing random.

    Returns:
        The data set: uint8 images `(h, w, c)` with int32 labels `(h, w)`, or `()` for
        classification, in `0..C-1` or the ignore value.

    Raises:
        FileNotFoundError: no such folder.
        DataError: files that are missing, damaged, unpaired or outside `root`.
        ValueError: a kind, domain, split or option that does not exist.
    """
    kind, _, rest = name.partition(":")
    if domain is not None:
        if rest:
            raise ValueError(f"domain: {name!r} names one already; give it once")
        rest = domain if isinstance(domain, str) else ",".join(domain)
        name = f"{kind}:{rest}"
    if size is not None and (len(size) != 2 or min(size) < 1):
        raise ValueError(f"size: {size} is not (height, width) of at least 1 pixel")
    if channels not in (None, 1, 3):
        raise ValueError(f"channels: {channels} is neither 1 nor 3")
    volumes = kind in VOLUME_LAYOUTS or isinstance(layout, VolumeLayout)
    if not volumes:
        refuse(kind, slicing=slicing)
    if kind == "brains" and layout is None:
        refuse(kind, split=split, classes=classes, colours=colours)
        from trfjax.data.brains import invented_brains

        return invented_brains(
            rest, labels, channels=channels, seed=seed, **_given(count=count, size=size)
        )
    if kind == "synthetic" and layout is None:
        refuse(kind, split=split, labels=labels, classes=classes)
        return _synthetic(rest, count, size, seed)
    if volumes:
        refuse(kind, split=split, colours=colours, skip_unpaired=skip_unpaired)
        chosen = layout if isinstance(layout, VolumeLayout) else VOLUME_LAYOUTS[kind]
        folder = _needed(root, kind)
        patients = find_patients(folder, chosen, follow_links=follow_links)
        data = load_volumes(
            name, patients, _label_map(kind, folder, chosen.tasks, labels, classes),
            domain=rest, slicing=slicing or Slicing(), count=count, channels=channels,
        )  # fmt: skip
        return _finished(data, None, size, cache)
    if split is not None:
        name = f"{name}/{split}"
    if kind == "tfds" and layout is None:
        refuse(kind, labels=labels, colours=colours, skip_unpaired=skip_unpaired)
        data = prepared.load(rest or _needed(root, kind), split, classes)
    elif layout is None and kind in classification.SOURCES:
        refuse(kind, labels=labels, colours=colours, skip_unpaired=skip_unpaired)
        data = classification.load(
            name,
            kind,
            _needed(root, kind),
            domain=rest,
            split=split,
            classes=classes,
            channels=channels,
            follow_links=follow_links,
        )
    else:
        assert not isinstance(layout, VolumeLayout)  # those were opened above
        layout = layout or _layout(kind)
        folder = _needed(root, kind)
        pairs, files = find_pairs(
            folder,
            layout,
            split=split,
            domain=rest,
            skip_unpaired=skip_unpaired,
            follow_links=follow_links,
        )
        label_map = _label_map(kind, folder, files.maps, labels, classes)
        data = _segmentation(name, kind, pairs, label_map, colours, channels or 3)
    return _finished(data, count, size, cache)


def _finished(
    data: Dataset, count: int | None, size: tuple[int, int] | None, cache: int
) -> Dataset:
    """Choose so many images, resize them, remember some."""
    if count is not None:
        data = _spread(data, count)
    if size is not None:
        data = data.map(lambda x, y: resize(x, y, size), tag=f"size={tuple(size)}")
    return _cached(data, cache) if cache else data


def refuse(kind: str, **options: Any) -> None:
    """Raise for options that mean nothing to this kind of data set."""
    given = [name for name, value in options.items() if value]
    if given:
        raise ValueError(f"{given[0]}: has no meaning for {kind!r}; leave it out")


def _needed(root: str | Path | None, kind: str) -> Path:
    if root is None:
        raise ValueError(f"root: {kind!r} is read from disk; pass root=<its folder>")
    return Path(root).expanduser()


def _layout(kind: str) -> Layout:
    if kind not in LAYOUTS:
        known = [
            *LAYOUTS, *classification.SOURCES, *VOLUME_LAYOUTS, "brains", "synthetic",
            "tfds",
        ]  # fmt: skip
        raise ValueError(f"name: unknown data set {kind!r}; known: {', '.join(known)}")
    return LAYOUTS[kind]


def _synthetic(
    rest: str, count: int | None, size: tuple[int, int] | None, seed: int
) -> Dataset:
    """Return drawn street scenes; the generator is imported only here."""
    from trfjax.data.synthetic import synthetic_city

    city, _, style = rest.partition(":")
    return synthetic_city(
        city, seed=seed, **_given(count=count, size=size, style=style or None)
    )


def _given(**options: Any) -> dict[str, Any]:
    """Return the options that have a value."""
    return {name: value for name, value in options.items() if value is not None}


def _label_map(
    kind: str,
    root: Path,
    maps: Any,
    labels: str | LabelMap | None,
    classes: Sequence[str | int] | None,
) -> LabelMap:
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
    if classes is None and listed.is_file():
        lines = listed.read_text("utf-8").splitlines()
        classes = [line.strip() for line in lines if line.strip()]
    if not classes:
        raise ValueError(
            f"classes: the class names of {root} are not known; pass "
            "classes=['road', ...] in the order of the ids, or write them to "
            f"{listed}, one a line"
        )
    return LabelMap(tuple(str(item) for item in classes))


def _segmentation(
    name: str,
    kind: str,
    pairs: list[Pair],
    label_map: LabelMap,
    colours: Colours | None,
    channels: int,
) -> Dataset:
    def read(position: int) -> tuple[np.ndarray, np.ndarray]:
        pair = pairs[position]
        image = read_image(pair.image, channels=channels)
        stored = read_label(pair.label, colours=colours)
        if stored.shape != image.shape[:2]:
            raise DataError(
                pair.label,
                f"size {stored.shape[1]}x{stored.shape[0]} differs from its image "
                f"{image.shape[1]}x{image.shape[0]}. Export the label again at the "
                "size of the image.",
            )
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


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def _spread(data: Dataset, count: int) -> Dataset:
    if not 1 <= count <= len(data):
        raise ValueError(f"count: {count} asked of {data.name}, which has {len(data)}")
    return data.select(spread(len(data), count))


def _cached(data: Dataset, cache: int) -> Dataset:
    """Keep the last `cache` examples, read-only since they are shared."""
    read = data.read

    @functools.lru_cache(maxsize=cache)
    def remembered(position: int) -> tuple[np.ndarray, np.ndarray]:
        image, label = read(position)
        image.setflags(write=False)
        label.setflags(write=False)
        return image, label

    return dataclasses.replace(data, read=remembered)

"""`load_dataset`: one door to every data set, by name."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trfjax.data import classification, prepared, segmentation
from trfjax.data.dataset import Dataset, spread
from trfjax.data.images import Colours, resize
from trfjax.data.labels import LabelMap
from trfjax.data.layouts import LAYOUTS, Layout
from trfjax.data.medical.layouts import VOLUME_LAYOUTS, VolumeLayout
from trfjax.data.medical.load import load_volumes
from trfjax.data.medical.patients import find_patients
from trfjax.data.medical.slicing import Slicing
from trfjax.data.photographs import unlabelled_folder
from trfjax.data.segmentation import chosen_map, refuse
from trfjax.numbers import as_count, as_seed

MAX_SIDE = 2**14  # pixels of an image that is asked for


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
            `synthetic:<city>` with an optional `:game`, `photographs` that nobody has
            labelled, and `tfds:<folder of a prepared builder>`. Domains may be joined
            by commas and cut by fractions in order of time: `"camvid:0016E5[:0.5]"`.
            Those of volumes are institutions and modalities, `"fets:18/T2,20/T2"`; `+`
            makes channels: `"fets:/T1+T2"`.
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
        classification, in `0..C-1` or the ignore value. Images are turned as their
        EXIF tag says. Masks of two classes may hold any two ids, such as 0 and 255.

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
    _check(size, count, cache, seed)
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
            name,
            patients,
            chosen_map(kind, folder, chosen.tasks, labels, classes),
            domain=rest,
            slicing=slicing or Slicing(),
            count=count,
            channels=channels,
        )
        return _finished(data, None, size, cache)
    if kind == "photographs" and layout is None:
        refuse(kind, split=split, labels=labels, classes=classes, colours=colours)
        data = unlabelled_folder(_needed(root, kind), channels or 3, name=name)
        return _finished(data, count, size, cache)
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
        files = layout or _layout(kind)  # a name nobody knows is told first
        data = segmentation.load(
            name,
            kind,
            _needed(root, kind),
            files,
            domain=rest,
            split=split,
            labels=labels,
            classes=classes,
            colours=colours,
            channels=channels or 3,
            skip_unpaired=skip_unpaired,
            follow_links=follow_links,
        )
    return _finished(data, count, size, cache)


def _check(size: Any, count: Any, cache: Any, seed: Any) -> None:
    """Refuse numbers that cannot be, before anything is opened."""
    if size is not None:
        if not isinstance(size, tuple | list) or len(size) != 2:
            raise ValueError(f"size: {size!r} is not (height, width)")
        for side in size:
            as_count("size", side, most=MAX_SIDE)
    if count is not None:
        as_count("count", count)
    as_count("cache", cache, least=0)
    as_seed("seed", seed)


def _finished(
    data: Dataset, count: int | None, size: tuple[int, int] | None, cache: int
) -> Dataset:
    """Choose so many images, resize them, remember some."""
    if count is not None:
        data = _spread(data, count)
    if size is not None:
        data = data.map(lambda x, y: resize(x, y, size), tag=f"size={tuple(size)}")
    return _cached(data, cache) if cache else data


def _needed(root: str | Path | None, kind: str) -> Path:
    if root is None:
        raise ValueError(f"root: {kind!r} is read from disk; pass root=<its folder>")
    return Path(root).expanduser()


def _layout(kind: str) -> Layout:
    if kind not in LAYOUTS:
        known = [
            *LAYOUTS,
            *classification.SOURCES,
            *VOLUME_LAYOUTS,
            "brains",
            "synthetic",
            "tfds",
            "photographs",
        ]
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

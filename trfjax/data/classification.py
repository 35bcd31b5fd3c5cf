"""Image classification sets: one integer per image, read like any other data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from trfjax.data.archives import Items, mnist, no_split, stamp_of, usps
from trfjax.data.dataset import Dataset
from trfjax.data.images import read_image
from trfjax.data.labels import LabelMap
from trfjax.data.omniglot import omniglot
from trfjax.data.paths import (
    OTHER_FORMATS,
    check_inside,
    choose,
    existing_folder,
    natural,
    visible,
    visible_files,
)
from trfjax.errors import DataError
from trfjax.files import digest
from trfjax.reading import composed

_SPLITS = {"train", "training", "val", "valid", "validation", "test", "testing"}
_ENDINGS = {".png", ".jpg", ".jpeg", ".jpe", ".jfif"}
File = tuple[Path, tuple[str, ...]]  # below the root; domain or split, and class


def load(
    name: str,
    kind: str,
    root: Path,
    *,
    domain: str = "",
    split: str | None = None,
    classes: Sequence[str | int] | None = None,
    channels: int | None = None,
    follow_links: bool = False,
) -> Dataset:
    """Open a classification set; see `trfjax.load_dataset`."""
    items = SOURCES[kind](root, split, follow_links)
    chosen = choose(items.domains or [""] * len(items.ids), domain)
    names = items.names
    if items.domains:  # folders of other domains may show other classes
        inside = {items.domains[i] for i in chosen}
        whole = [i for i, place in enumerate(items.domains) if place in inside]
        # A part of an alphabet is a task of its own.
        shown = {items.labels[i] for i in (chosen if kind == "omniglot" else whole)}
        names = tuple(n for i, n in enumerate(names) if i in shown)
    names = _subset(names, classes)
    index = {items.names.index(n): i for i, n in enumerate(names)}
    chosen = [i for i in chosen if items.labels[i] in index]
    if not chosen:
        raise ValueError(f"classes: {name} has no image of {', '.join(names)}")

    def read(position: int) -> tuple[np.ndarray, np.ndarray]:
        image = items.image(chosen[position])
        if channels == 3 and image.shape[-1] == 1:
            image = np.repeat(image, 3, axis=-1)
        elif channels == 1 and image.shape[-1] != 1:
            raise ValueError(f"channels: {name} has colour images; use channels=3")
        return image, np.array(index[items.labels[chosen[position]]], np.int32)

    groups = items.groups or items.ids
    return Dataset(
        name=name,
        labels=LabelMap(names),
        image_ids=tuple(items.ids[i] for i in chosen),
        read=read,
        groups=tuple(groups[i] for i in chosen),
        fingerprint=digest(kind, items.stamp, chosen, names, channels),
    )


def _subset(
    names: tuple[str, ...], classes: Sequence[str | int] | None
) -> tuple[str, ...]:
    if classes is None:
        return names
    wanted = tuple(composed(str(item)) for item in classes)
    unknown = [item for item in wanted if item not in names]
    if unknown:
        raise ValueError(
            f"classes: no {unknown[0]!r} here; available: {', '.join(names[:40])}"
        )
    return wanted


def image_folder(root: Path, split: str | None, follow_links: bool) -> Items:
    """List `[<domain or split>/]<class>/*` images, PNG or JPEG.

    A first level named train, val or test is a split, any other a domain. A folder
    below every class, such as `<class>/images/*`, is passed over. Images alternate
    between classes, so that a range of fractions keeps all classes.
    """
    files = _class_files(existing_folder(root))
    if not follow_links:
        check_inside(root, [root / path for path, _ in files])
    firsts = {parts[0] for _, parts in files} if len(files[0][1]) == 2 else set()
    has_splits = bool(firsts) and {name.lower() for name in firsts} <= _SPLITS
    names = tuple(sorted({parts[-1] for _, parts in files}))
    if not has_splits:
        no_split("image-folder", split)
    elif split is not None:
        if split not in firsts:
            raise ValueError(
                f"split: no {split!r}; available: {', '.join(sorted(firsts))}"
            )
        files = [(path, parts) for path, parts in files if parts[0] == split]
    domains = firsts and not has_splits
    files = _alternating(files)
    return Items(
        ids=[composed(path.with_suffix("").as_posix()) for path, _ in files],
        labels=[names.index(parts[-1]) for _, parts in files],
        names=names,
        image=lambda position: read_image(root / files[position][0]),
        stamp=[
            str([path for path, _ in files]),
            stamp_of(*(root / path for path, _ in files)),
        ],
        domains=[parts[0] if domains else "" for _, parts in files],
    )


def _class_files(root: Path) -> list[File]:
    """Return images below `root`, each with its class and what stands above that.

    Raises:
        DataError: no image, images at different depths, images of another format, or
            a folder of a class without an image.
    """
    found = [
        path.relative_to(root)
        for pattern in ("*/*", "*/*/*", "*/*/*/*")
        for path in visible_files(root, pattern)
    ]
    files = [path for path in found if path.suffix.lower() in _ENDINGS]
    unread = [path for path in found if path.suffix.lower() in OTHER_FORMATS]
    if unread:
        raise DataError(
            root / unread[0],
            f"an image that is no PNG or JPEG ({len(unread)} such files below {root}). "
            "Convert or remove them, lest their classes vanish.",
        )
    depths = {len(path.parts) for path in files}
    if len(depths) != 1:
        problem = "no image" if not files else "images at different depths"
        raise DataError(
            root,
            f"{problem}; looked for <class>/* and <domain>/<class>/*. Check root=.",
        )
    parts = [tuple(map(composed, path.parts[:-1])) for path in files]
    if len({names[-1] for names in parts}) == 1 and len({n[:-1] for n in parts}) > 1:
        parts = [names[:-1] for names in parts]  # <class>/images/*
    if len(parts[0]) > 2:
        raise DataError(
            root,
            f"{files[0]} lies too deep; looked for <class>/* and <domain>/<class>/*. "
            "Check root=.",
        )
    _check_empty(root, depths.pop() - 1, {path.parent for path in files})
    return list(zip(files, parts, strict=True))


def _check_empty(root: Path, depth: int, full: set[Path]) -> None:
    """Refuse a folder at the depth of a class that shows no image of it."""
    for path in visible(root, "/".join(["*"] * depth)):
        if path.is_dir() and path.relative_to(root) not in full:
            raise DataError(
                path,
                "holds no PNG or JPEG, beside folders of classes that do. Remove it, "
                "or put the images of the class there.",
            )


def _alternating(files: list[File]) -> list[File]:
    """Order files by domain, then by their rank within the class."""
    seen: dict[Path, int] = {}
    keyed = []
    for path, parts in sorted(files, key=lambda file: natural(file[0].as_posix())):
        rank = seen[path.parent] = seen.get(path.parent, -1) + 1
        keyed.append((parts[:-1], rank, path, parts))
    return [(path, parts) for *_, path, parts in sorted(keyed)]


SOURCES: dict[str, Callable[[Path, str | None, bool], Items]] = {
    "mnist": mnist,
    "usps": usps,
    "omniglot": omniglot,
    "image-folder": image_folder,
    "pacs": image_folder,
}

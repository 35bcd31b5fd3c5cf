"""Image classification sets: one integer per image, read like any other data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from trfjax.data.archives import Items, mnist, no_split, omniglot, stamp_of, usps
from trfjax.data.dataset import Dataset
from trfjax.data.images import read_image
from trfjax.data.labels import LabelMap
from trfjax.data.paths import check_inside, choose, existing_folder, natural
from trfjax.errors import DataError
from trfjax.files import digest

_SPLITS = {"train", "training", "val", "valid", "validation", "test", "testing"}


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
    wanted = tuple(str(item) for item in classes)
    unknown = [item for item in wanted if item not in names]
    if unknown:
        raise ValueError(
            f"classes: no {unknown[0]!r} here; available: {', '.join(names[:40])}"
        )
    return wanted


def image_folder(root: Path, split: str | None, follow_links: bool) -> Items:
    """List `[<domain or split>/]<class>/*` images, PNG or JPEG.

    A first level named train, val or test is a split, any other a domain. Images
    alternate between classes, so that a range of fractions keeps all classes.
    """
    existing_folder(root)
    endings = {".png", ".jpg", ".jpeg"}
    files = [
        path.relative_to(root)
        for pattern in ("*/*", "*/*/*")
        for path in sorted(root.glob(pattern))
        if path.suffix.lower() in endings
    ]
    depths = {len(path.parts) for path in files}
    if len(depths) != 1:
        found = "no image" if not files else "images at different depths"
        raise DataError(
            root, f"{found}; looked for <class>/* and <domain>/<class>/*. Check root=."
        )
    firsts = {path.parts[0] for path in files} if depths == {3} else set()
    has_splits = bool(firsts) and firsts <= _SPLITS
    names = tuple(sorted({path.parts[-2] for path in files}))
    if not has_splits:
        no_split("image-folder", split)
    elif split is not None:
        if split not in firsts:
            raise ValueError(
                f"split: no {split!r}; available: {', '.join(sorted(firsts))}"
            )
        files = [path for path in files if path.parts[0] == split]
    if not follow_links:
        check_inside(root, [root / path for path in files])
    files = _alternating(files)
    return Items(
        ids=[path.with_suffix("").as_posix() for path in files],
        labels=[names.index(path.parts[-2]) for path in files],
        names=names,
        image=lambda position: read_image(root / files[position]),
        stamp=[str(files), stamp_of(*(root / path for path in files))],
        domains=[path.parts[0] if firsts and not has_splits else "" for path in files],
    )


def _alternating(files: list[Path]) -> list[Path]:
    """Order files by domain, then by their rank within the class."""
    seen: dict[Path, int] = {}
    keyed = []
    for path in sorted(files, key=lambda path: natural(path.as_posix())):
        rank = seen[path.parent] = seen.get(path.parent, -1) + 1
        keyed.append((path.parts[:-2], rank, path))
    return [path for *_, path in sorted(keyed)]


SOURCES: dict[str, Callable[[Path, str | None, bool], Items]] = {
    "mnist": mnist,
    "usps": usps,
    "omniglot": omniglot,
    "image-folder": image_folder,
    "pacs": image_folder,
}

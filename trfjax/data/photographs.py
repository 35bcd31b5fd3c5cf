"""Photographs that nobody has labelled: files of any size, found and read."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trfjax.data.dataset import Dataset
from trfjax.data.given_images import nothing
from trfjax.data.images import MAX_FILE, read_image
from trfjax.data.labels import NO_LABELS
from trfjax.data.paths import (
    OTHER_FORMATS,
    check_inside,
    existing_folder,
    natural,
    visible_files,
)
from trfjax.errors import DataError
from trfjax.files import digest
from trfjax.reading import read_bytes

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP")
SUFFIXES = {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".tif", ".tiff", ".bmp"}


@dataclasses.dataclass(frozen=True)
class Photograph:
    """A file, and what the results of it are called."""

    path: Path
    name: str  # its place below the folder, without the suffix

    def read(self, channels: int = 3) -> tuple[np.ndarray, str]:
        """Return the upright picture, `(h, w, channels)` uint8, and its digest.

        Raises:
            FileNotFoundError, DataError: a file that is gone or cannot be used.
        """
        content = read_bytes(self.path, limit=MAX_FILE)
        image = read_image(
            self.path, channels=channels, content=content, formats=FORMATS
        )
        return image, digest(content)

    def digest(self) -> str:
        """Return the digest of the file.

        Raises:
            FileNotFoundError, DataError: a file that is gone or cannot be read.
        """
        return digest(read_bytes(self.path, limit=MAX_FILE))


def find_photographs(
    paths: Sequence[str | Path], *, apart: str | Path | None = None
) -> tuple[list[Photograph], list[Path]]:
    """Find the photographs in folders, and below them, and among files.

    Args:
        paths: folders and files.
        apart: a folder that is not looked into, such as that of the results.

    Returns:
        The photographs in the order of their names, frame 9 before frame 10, and the
        images that are left out because their format is not read.

    Raises:
        FileNotFoundError: a path that is not there.
        DataError: no photograph, or two that results cannot be told apart of.
    """
    found: list[tuple[Path, Path]] = []  # file, and its place
    others: list[Path] = []
    for path in map(Path, paths):
        if path.is_file():
            if path.suffix.lower() not in SUFFIXES:
                raise DataError(path, f"is none of {', '.join(sorted(SUFFIXES))}")
            found.append((path, Path(path.name)))
            continue
        files = visible_files(existing_folder(path), "**/*")
        skipped = None if apart is None else Path(apart).resolve()
        if skipped not in (None, path.resolve()):
            files = [f for f in files if not f.resolve().is_relative_to(skipped)]
        check_inside(path, files)
        mine = [file for file in files if file.suffix.lower() in SUFFIXES]
        others += [file for file in files if file.suffix.lower() in OTHER_FORMATS]
        if not mine:
            raise DataError(
                path,
                f"holds no photograph ({', '.join(sorted(SUFFIXES))}), nor do the "
                f"folders in it; there are {len(files)} other files",
            )
        found += [(file, file.relative_to(path)) for file in mine]
    others = [path for path in others if path.suffix.lower() not in SUFFIXES]
    named = _named(dict(found))
    return sorted(named, key=lambda one: natural(one.name)), others


def unlabelled_folder(
    root: Path, channels: int, *, name: str = "photographs"
) -> Dataset:
    """Return a folder of photographs as a data set without labels.

    Args:
        root: looked through with all that is below it.
        channels: 3 or 1.
        name: what the set is called.

    Raises:
        FileNotFoundError, DataError: no photograph.
    """
    found, _ = find_photographs([root])

    def read(position: int) -> tuple[np.ndarray, np.ndarray]:
        image, _ = found[position].read(channels)
        return image, nothing(image)

    states = [one.path.stat() for one in found]
    facts = [
        [one.name, s.st_size, s.st_mtime_ns]
        for one, s in zip(found, states, strict=True)
    ]
    ids = tuple(one.name for one in found)
    fingerprint = f"photographs-{digest([channels, *facts])}"
    return Dataset(name, NO_LABELS, ids, read, ids, fingerprint)


def _named(places: dict[Path, Path]) -> list[Photograph]:
    """Name results by their place; with the suffix where two differ in that alone."""
    short = Counter(place.with_suffix("") for place in places.values())
    photographs, taken = [], dict[str, Path]()
    for path, place in places.items():
        plain = place.with_suffix("")
        name = (plain if short[plain] == 1 else place).as_posix()
        if name in taken:
            raise DataError(
                path,
                f"has the same name as {taken[name]}; predict their folders one by one",
            )
        taken[name] = path
        photographs.append(Photograph(path, name))
    return photographs

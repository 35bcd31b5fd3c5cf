"""Omniglot: characters of alphabets in a zip file."""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from trfjax.data.archives import Items, no_split, stamp_of
from trfjax.data.images import read_image
from trfjax.data.paths import (
    check_inside,
    existing_folder,
    is_dropping,
    natural,
    visible_files,
)
from trfjax.errors import DataError
from trfjax.reading import regular_size

MEMBER = re.compile(r"[^/]+/[^/]+/[^/]+\.png$")


def omniglot(root: Path, split: str | None, follow_links: bool) -> Items:
    """List characters inside an Omniglot zip; an alphabet is a domain.

    Images of one drawer form a group, so that a split never shares a hand.
    """
    no_split("omniglot", split)
    if root.suffix == ".zip":
        zips = [root]
    else:
        zips = visible_files(existing_folder(root), "*.zip")
    if len(zips) != 1 or not zips[0].exists():
        raise DataError(root, f"{len(zips)} zip files; pass root=<the zip to read>.")
    path = zips[0]
    if not follow_links:
        check_inside(path.parent, [path])
    regular_size(path)
    members = _zip_members(path)
    rows = []
    for member, content in members.items():
        *_, alphabet, character, file = PurePosixPath(member).parts
        drawer = file.removesuffix(".png").rpartition("_")[2]
        rows.append((alphabet, natural(drawer), natural(character), member, content))
    rows.sort(key=lambda row: row[:4])
    kinds = ["/".join(PurePosixPath(row[3]).parts[-3:-1]) for row in rows]
    names = tuple(sorted(set(kinds), key=natural))
    index = {kind: i for i, kind in enumerate(names)}
    return Items(
        ids=["/".join(PurePosixPath(row[3]).parts[-3:]) for row in rows],
        labels=[index[kind] for kind in kinds],
        names=names,
        image=lambda position: read_image(
            f"{path}!{rows[position][3]}", channels=1, content=rows[position][4]
        ),
        stamp=stamp_of(path),
        domains=[row[0] for row in rows],
        groups=[f"{row[0]}:{row[1]}" for row in rows],
    )


def _zip_members(path: Path, limit: int = 2**28) -> dict[str, bytes]:
    """Return the `.../Alphabet/character/*.png` members, still compressed as PNG."""
    try:
        with zipfile.ZipFile(path) as archive:
            listed = archive.infolist()
            for info in listed:
                parts = PurePosixPath(info.filename.replace("\\", "/"))
                if parts.is_absolute() or ".." in parts.parts:
                    raise DataError(
                        path, f"member {info.filename!r} leads outside the archive."
                    )
            wanted = [
                info
                for info in listed
                if MEMBER.search(info.filename)
                and not any(map(is_dropping, PurePosixPath(info.filename).parts))
            ]
            if sum(info.file_size for info in wanted) > limit:
                raise DataError(path, f"unpacks to more than {limit} bytes.")
            members = {info.filename: archive.read(info) for info in wanted}
    except (
        *(zipfile.BadZipFile, zlib.error, OSError, RuntimeError, EOFError),
        *(NotImplementedError, struct.error, UnicodeDecodeError),
    ) as error:
        raise DataError(
            path, f"damaged or locked zip ({error}). Copy it again."
        ) from error
    if not members:
        raise DataError(path, "no member */<alphabet>/<character>/*.png.")
    return members

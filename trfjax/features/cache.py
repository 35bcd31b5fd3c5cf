"""Features that were extracted before, found again by what they depend on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from trfjax.features.compressed import CompressedSet
from trfjax.features.featureset import FeatureSet
from trfjax.files import digest, user_folder

log = logging.getLogger("trfjax")

Found = TypeVar("Found", FeatureSet, CompressedSet)
Cache = str | Path | bool | None


def cache_folder(cache: Cache) -> Path | None:
    """Return the folder that `cache` stands for.

    Args:
        cache: a folder; True for `$TRFJAX_CACHE`, or else `trfjax` in the user's cache
            folder; None or False for none.
    """
    if cache is None or cache is False:
        return None
    if cache is not True:
        return Path(cache)
    return user_folder()


def entry(folder: Path, key: dict[str, Any]) -> Path:
    """Return the file of the features that `key` describes."""
    return folder / "features" / f"{digest(key)}.safetensors"


def read_entry(path: Path, load: Callable[[Path], Found]) -> Found | None:
    """Read an entry; None where there is none, or it is damaged (and logged)."""
    if not path.is_file():
        return None
    try:
        return load(path)
    except (ValueError, OSError) as error:  # another process may also have removed it
        log.warning("cache: %s; extracted again", error)
        return None


def write_entry(path: Path, found: FeatureSet | CompressedSet) -> None:
    """Write an entry; a folder that cannot be written costs time only, and is logged.

    Two processes that write one entry write the same, and the last one stays.
    """
    try:
        found.save(path)
    except OSError as error:
        log.warning("cache: %s cannot be written (%s); going on without", path, error)

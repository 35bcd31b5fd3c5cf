"""Work that is done once: read it back if the key matches, else do it and keep it.

A store is a folder of records, one JSON file each: the key (everything the work depends
on, by name), what it came to, and a digest of both. Arrays and other files lie beside
it; they are written first, and their SHA-256 is in the record. So a record that can be
read is whole, whenever the process was killed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from trfjax.errors import DataError
from trfjax.files import (
    digest,
    read_arrays,
    read_json,
    strict,
    write_arrays,
    write_json,
)
from trfjax.reading import unreadable

log = logging.getLogger("trfjax")

FORMAT = 1

Key = Mapping[str, Any]  # JSON-like; what cannot be written is there by its digest


@dataclasses.dataclass(frozen=True, kw_only=True)
class Made:
    """The outcome of work: plain values, arrays, and files it wrote into the store."""

    value: Any = None
    arrays: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    files: tuple[str, ...] = ()  # paths within the folder of files of the store
    error: str = ""  # why it failed; empty when it did not


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Record:
    """Finished work, as it is read back: tuples are lists, NaN is None."""

    name: str  # of its file, without the suffix
    key: dict[str, Any]
    value: Any
    arrays: dict[str, np.ndarray]
    files: tuple[str, ...]
    error: str
    seconds: float  # of the work, when it was done

    @property
    def failed(self) -> bool:
        """Whether the work failed; `error` says why."""
        return bool(self.error)


class _File(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The JSON file of a record."""

    store: int
    key: dict[str, Any]
    value: Any
    error: str
    seconds: float
    arrays: list[str]
    files: dict[str, str]  # SHA-256 by path


class Store:
    """Records in one folder, found by what they depend on.

    Any number of processes may read and write it: a record is whole or absent, and the
    same key gives the same content. A run that owns a folder takes `lock.locked`.

    Args:
        folder: where the records lie; made when the first one is written.
        files: the folder that files beside records are in; the same one by default.
    """

    def __init__(self, folder: str | Path, *, files: str | Path | None = None) -> None:
        self.folder = Path(folder)
        self.beside = self.folder if files is None else Path(files)

    def path(self, key: Key, name: str | None = None) -> Path:
        """Return the file of a record: its name, or else the digest of its key."""
        stem = digest(dict(key)) if name is None else file_name(name)
        return self.folder / f"{stem}.json"

    def get(self, key: Key, *, name: str | None = None) -> Record | None:
        """Return the record of a key; None where there is none.

        A damaged record is None too, with a warning in the log.
        """
        path = self.path(key, name)
        if not path.is_file():
            return None
        try:
            found = read_record(path, files=self.beside)
        except (DataError, OSError) as error:  # another process may have removed it
            log.warning("%s; computed again", error)
            return None
        return found if found.key == strict(dict(key)) else None

    def put(
        self, key: Key, made: Made, *, name: str | None = None, seconds: float = 0.0
    ) -> Record:
        """Write a record, in the place of an older one; return it as it is read."""
        path = self.path(key, name)
        beside = list(made.files)
        if made.arrays:
            beside.append(f"{path.stem}.safetensors")
            write_arrays(self.beside / beside[-1], made.arrays)
        body = {
            "store": FORMAT,
            "key": dict(key),
            "value": made.value,
            "error": made.error,
            "seconds": float(seconds),
            "arrays": sorted(made.arrays),
            "files": {file: _sha256(self.beside / file) for file in beside},
        }
        write_json(path, body)
        return read_record(path, files=self.beside)

    def keep(
        self,
        key: Key,
        work: Callable[[], Made],
        *,
        name: str | None = None,
        retry_failed: bool = False,
        catch: tuple[type[Exception], ...] = (),
    ) -> Record:
        """Return the record of a key; do the work and keep it where there is none.

        Args:
            key: everything the result depends on, by name.
            work: what to do; called without arguments.
            name: of the file; the digest of the key by default. With a name, the
                record of another key is replaced.
            retry_failed: do work again that failed before.
            catch: exceptions that are kept as a failure instead of being raised.

        Returns:
            The same, bit for bit, whether the work was done now or before.
        """
        found = self.get(key, name=name)
        if found is not None and not (found.failed and retry_failed):
            return found
        started = time.perf_counter()
        try:
            made = work()
        except catch as error:
            made = Made(error=f"{type(error).__name__}: {error}")
        return self.put(key, made, name=name, seconds=time.perf_counter() - started)

    def records(self) -> Iterator[Record]:
        """Yield every whole record, by name; damaged ones are told in the log."""
        for path in sorted(self.folder.glob("[!.]*.json")):
            try:
                yield read_record(path, files=self.beside)
            except (DataError, OSError) as error:
                log.warning("%s; left out", error)


def read_record(path: str | Path, *, files: Path | None = None) -> Record:
    """Read a record, its arrays, and check the files beside it.

    Args:
        path: of the record.
        files: the folder that its files are in; its own by default.

    Raises:
        DataError: a file that is damaged, or no record.
    """
    path = Path(path)
    found = read_json(path, _File)
    if found.store != FORMAT:
        raise DataError(path, f"a record of format {found.store}; remove it")
    folder = path.parent if files is None else files
    for file, expected in found.files.items():
        beside = folder / file
        if not beside.is_file():
            raise DataError(beside, f"missing, though {path.name} lists it")
        if _sha256(beside) != expected:
            raise DataError(
                beside, f"damaged, or changed since {path.name} was written with it"
            )
    arrays: dict[str, np.ndarray] = {}
    if found.arrays:
        arrays, _ = read_arrays(folder / f"{path.stem}.safetensors")
    return Record(
        name=path.stem,
        key=found.key,
        value=found.value,
        arrays=arrays,
        files=tuple(found.files),
        error=found.error,
        seconds=found.seconds,
    )


def file_name(name: str) -> str:
    """Return a name as it can stand in a folder; different names stay different."""
    plain = re.sub(r"[^\w.,+-]+", "_", name).strip(".")[:80]
    return plain if plain == name else f"{plain}-{digest(name)[:6]}"


def _sha256(path: Path) -> str:
    try:
        with open(path, "rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(path, error) from error

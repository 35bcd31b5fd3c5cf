"""A disk that fails once: at the n-th open, write, fsync, rename or new folder.

What Rust and C++ write (safetensors, Parquet) fails as those libraries say it.
"""

from __future__ import annotations

import builtins
import contextlib
import errno
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
import safetensors.numpy
from safetensors import SafetensorError


class Disk:
    """Counts the operations below `root`; number `fails`, from 1, is refused."""

    def __init__(self, root: Path, fails: int = 0, number: int = errno.ENOSPC) -> None:
        self.root, self.fails, self.number = str(root), fails, number
        self.done: list[str] = []

    def turn(self, what: str, path: Any = None) -> bool:
        """Count an operation; say whether it is the one that fails."""
        if path is not None and not str(path).startswith(self.root):
            return False
        self.done.append(f"{what} {path or ''}")
        return len(self.done) == self.fails

    def error(self, path: Any = None) -> OSError:
        """Return the error that the system would raise."""
        reason = os.strerror(self.number)
        return OSError(self.number, reason, *([] if path is None else [str(path)]))


class Failing:
    """An open file whose writes are counted."""

    def __init__(self, opened: Any, disk: Disk) -> None:
        self._opened, self._disk = opened, disk

    def write(self, content: Any) -> Any:
        """Write, unless it is the turn to fail."""
        if self._disk.turn("write"):
            raise self._disk.error()
        return self._opened.write(content)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._opened, name)

    def __enter__(self) -> Any:
        self._opened.__enter__()
        return self

    def __exit__(self, *args: Any) -> Any:
        return self._opened.__exit__(*args)


@contextlib.contextmanager
def failing(root: Path, fails: int, number: int = errno.ENOSPC) -> Iterator[Disk]:
    """Have operation number `fails` below a folder refused once; 0 counts only."""
    disk, patch = Disk(root, fails, number), pytest.MonkeyPatch()

    def refusing(what: str, real: Any, place: int | None = 0) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            path = None if place is None else args[place]
            if disk.turn(what, path):
                raise disk.error(path)
            return real(*args, **kwargs)

        return call

    real_open, save_file = builtins.open, safetensors.numpy.save_file
    write_table = pyarrow.parquet.write_table

    def open_(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if isinstance(file, int) or not str(file).startswith(disk.root):
            return real_open(file, mode, *args, **kwargs)
        if disk.turn("open", file):
            raise disk.error(file)
        opened = real_open(file, mode, *args, **kwargs)
        return Failing(opened, disk) if set(mode) & set("wax+") else opened

    def save(arrays: Any, path: Any, **kwargs: Any) -> None:
        if disk.turn("save", path):
            reason = f"{os.strerror(disk.number)} (os error {disk.number})"
            raise SafetensorError(f"Error while serializing: I/O error: {reason}")
        save_file(arrays, path, **kwargs)

    def table(table: Any, path: Any, **kwargs: Any) -> None:
        if disk.turn("table", path):
            raise OSError(disk.number, "Error writing bytes to file")
        write_table(table, path, **kwargs)

    for module in (builtins, io):
        patch.setattr(module, "open", open_)
    for name in ("open", "replace", "mkdir"):
        patch.setattr(os, name, refusing(name, getattr(os, name)))
    patch.setattr(os, "fsync", refusing("fsync", os.fsync, None))
    patch.setattr(safetensors.numpy, "save_file", save)
    patch.setattr(pyarrow.parquet, "write_table", table)
    try:
        yield disk
    finally:
        patch.undo()

"""One writer a folder: a lock of the operating system that ends with the process."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from trfjax.errors import DataError, WriteError

log = logging.getLogger("trfjax")

LOCK = ".lock"

_held = threading.local()  # the folders this thread has locked


@contextlib.contextmanager
def locked(folder: str | Path, option: str = "out") -> Iterator[Path]:
    """Hold a folder against other writers, who are refused; made where there is none.

    The lock is the operating system's: it ends with the process, however that ends.
    The same thread may take it again.

    Args:
        folder: what is written to.
        option: what the caller calls it, for the message.

    Raises:
        DataError: another process or thread is writing there.
        WriteError: the system cannot write there.
    """
    folder = Path(folder)
    held: set[Path] = _held.__dict__.setdefault("folders", set())
    if (place := folder.resolve()) in held:
        yield folder
        return
    with _opened(folder) as opened:
        if not _take(opened.fileno()):
            opened.seek(0)
            raise DataError(
                folder,
                f"another run ({opened.read(200).strip()}) is writing here. Wait, stop "
                f"it, or choose another {option}.",
            )
        _sign(opened, folder)
        held.add(place)
        try:
            yield folder
        finally:
            held.discard(place)


def _opened(folder: Path) -> IO[str]:
    """Open the file that is locked."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return open(folder / LOCK, "a+", encoding="utf-8")
    except OSError as error:
        raise WriteError(folder, error) from error


def _sign(opened: IO[str], folder: Path) -> None:
    """Write down who holds the lock."""
    started = time.strftime("%Y-%m-%d %H:%M")
    try:
        opened.truncate(0)
        opened.write(f"process {os.getpid()} on {socket.gethostname()}, {started}\n")
        opened.flush()
    except OSError as error:
        raise WriteError(folder / LOCK, error) from error


def _take(handle: int) -> bool:
    """Lock an open file; say whether it was free."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:  # a file system without locks
        log.warning("no lock can be taken (%s): let one run at a time write", error)
    return True

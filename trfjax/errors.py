"""The exceptions and warnings a caller may want to tell apart."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable
from pathlib import Path


class DataError(ValueError):
    """A file or folder that cannot be used; `path` says which."""

    def __init__(self, path: str | Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = Path(path)
        self.problem = problem


class WriteError(OSError):
    """A file that cannot be written; `filename` says which, the message what to do."""

    def __init__(self, path: str | Path, error: OSError) -> None:
        number, reason = error.errno or 0, error.strerror or str(error)
        super().__init__(number, f"{reason}. {remedy(number)}", str(path))


def remedy(number: int) -> str:
    """Return what to do about an error number of the system."""
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        todo = "Make room on the disk"
    elif number in (errno.EACCES, errno.EPERM, errno.EROFS):
        todo = "Check its permissions"
    elif number in (errno.EEXIST, errno.ENOTDIR):
        todo = "Remove the file that stands where a folder must be"
    else:
        todo = "Check the disk"
    return f"{todo}, or write elsewhere; what was finished before is kept."


class DataWarning(UserWarning):
    """Data that can be read in more than one way, and how it was read."""


class ScoreWarning(UserWarning):
    """A score that is defined but says little, and why."""


def missing_extra(package: str, extra: str) -> ImportError:
    """Return the error for an optional package that is not installed."""
    return ImportError(
        f"{package} needs the {extra!r} extra: pip install 'trfjax[{extra}]'"
    )


def perhaps(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean ...?" with the nearest of the known names, or nothing."""
    near = difflib.get_close_matches(str(name), list(known), 1)
    return f"; did you mean {near[0]!r}?" if near else ""

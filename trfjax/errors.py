"""The exceptions and warnings a caller may want to tell apart."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class DataError(ValueError):
    """A file or folder that cannot be used; `path` says which."""

    def __init__(self, path: str | Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = Path(path)
        self.problem = problem


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

"""Folders that exist, files that stay inside them, and the choice of domains."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from trfjax.errors import DataError


def existing_folder(root: Path) -> Path:
    """Return `root`, or say which part of it does not exist."""
    if root.is_dir():
        return root
    parent = next(part for part in root.absolute().parents if part.is_dir())
    raise FileNotFoundError(
        f"{root}: no such folder (the nearest that exists is {parent}). "
        "Pass root=<the folder that holds the data set>."
    )


def check_inside(root: Path, paths: Iterable[Path]) -> None:
    """Refuse files that lie outside `root` once links are followed."""
    real = root.resolve()
    for path in paths:
        if not path.resolve().is_relative_to(real):
            raise DataError(
                path,
                f"leads outside {root}. Copy the file there, or pass "
                "follow_links=True if you trust the link.",
            )


def natural(text: str) -> list[str | int]:
    """Return a sort key that puts frame 9 before frame 10."""
    parts = re.split(r"([0-9]+)", text)
    return [int(part) if i % 2 else part for i, part in enumerate(parts)]


def choose(domains: Sequence[str], text: str) -> list[int]:
    """Return the positions that `text` asks for, such as `"a,b[0.5:]"`.

    Args:
        domains: domain of every item, in order of time.
        text: domains joined by commas, each with an optional range of fractions of
            its items; an empty name stands for all items.

    Raises:
        ValueError: a domain that does not exist, or a range that cannot be read.
    """
    positions: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"([^\[\]]*)(?:\[([\d.]*):([\d.]*)\])?", part.strip())
        if found is None:
            raise ValueError(
                f"domain: {part!r} is not a name with an optional range such as "
                "'name[:0.5]' or 'name[0.5:]'"
            )
        name = found[1].strip()
        own = [i for i, domain in enumerate(domains) if name in ("", domain)]
        if not own:
            raise ValueError(f"domain: no {name!r} here; {listed(domains)}")
        first, last = _fraction(found[2], 0.0), _fraction(found[3], 1.0)
        positions += own[round(first * len(own)) : round(last * len(own))]
    if not positions:
        raise ValueError(f"domain: {text!r} leaves no image; widen the range")
    return list(dict.fromkeys(positions))


def listed(names: Iterable[str], limit: int = 40) -> str:
    """Return the names there are, for a message."""
    found = sorted(set(names) - {""})
    more = f" and {len(found) - limit} more" if len(found) > limit else ""
    return f"available: {', '.join(found[:limit])}{more}" if found else "it has none"


def _fraction(text: str | None, otherwise: float) -> float:
    try:
        value = float(text) if text else otherwise
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ValueError(f"domain: range limit {text!r} is not between 0 and 1")
    return value

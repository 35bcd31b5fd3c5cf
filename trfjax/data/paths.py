"""Folders that exist, files that stay inside them, and the choice of domains."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from trfjax.errors import DataError

# What systems, network drives and editors leave behind, beside names with a dot.
_DROPPINGS = {
    *("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r"),
    *("$recycle.bin", "recycler", "system volume information", "lost+found"),
    *("@eadir", "@tmp", "@recycle", "#recycle", "#snapshot", "@recently-snapshot"),
    *("__macosx", "network trash folder", "temporary items", "__pycache__", "cvs"),
    *("_vti_cnf", "_notes", "lrtemp"),
}
_UNFINISHED = (".tmp", ".part", ".partial", ".crdownload", ".swp", ".download")


# Image files that are not read, lest they vanish without a word.
OTHER_FORMATS = {
    *(".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif", ".avif", ".heic", ".heif"),
    *(".jp2", ".j2k", ".jpx", ".jxl", ".ppm", ".pgm", ".pbm", ".pnm", ".pcx", ".tga"),
    *(".ico", ".svg", ".psd", ".exr", ".hdr", ".dcm", ".dng", ".cr2", ".nef", ".raw"),
}


def is_dropping(name: str) -> bool:
    """Say whether a file or folder is none of the user's data.

    Hidden files and folders (`.git`, `.ipynb_checkpoints`, `._x`, `.DS_Store`), what
    systems keep (`Thumbs.db`, `@eaDir`, `__MACOSX`), what editors keep (`x~`, `#x#`,
    `~$x`) and downloads that have not ended.
    """
    return (
        name.startswith((".", "~$"))
        or name.endswith("~")
        or (name.startswith("#") and name.endswith("#"))
        or name.lower() in _DROPPINGS
        or name.lower().endswith(_UNFINISHED)
    )


def visible(root: Path, pattern: str = "*") -> list[Path]:
    """Return what matches below `root`, sorted, without droppings.

    Raises:
        DataError: a name that is not text.
    """
    found = []
    for path in sorted(root.glob(pattern)):
        if any(is_dropping(part) for part in path.relative_to(root).parts):
            continue
        if any("\ud800" <= letter <= "\udfff" for letter in path.name):
            shown = path.name.encode("ascii", "backslashreplace").decode()
            raise DataError(
                path.parent / shown, "has a name that is not UTF-8. Rename the file."
            )
        found.append(path)
    return found


def visible_files(root: Path, pattern: str = "*") -> list[Path]:
    """Return what `visible` does, without folders."""
    return [path for path in visible(root, pattern) if not path.is_dir()]


def other_format(root: Path, pattern: str) -> str:
    """Return what to say where a file that matches is an image of another format."""
    for path in visible_files(root, pattern):
        if path.suffix.lower() in OTHER_FORMATS:
            return f" {path.name} is no PNG or JPEG; convert such images."
    return ""


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
        inside = [i for i, domain in enumerate(domains) if name in ("", domain)]
        if not inside:
            raise ValueError(f"domain: no {name!r} here; {listed(domains)}")
        first, last = _fraction(found[2], 0.0), _fraction(found[3], 1.0)
        positions += inside[round(first * len(inside)) : round(last * len(inside))]
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

"""The one way into small files: whole, bounded, regular, and of the type that is due.

Whatever is wrong with a file is a `DataError` with its path and what to do.
"""

from __future__ import annotations

import codecs
import json
import os
import stat
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from trfjax.errors import DataError

T = TypeVar("T")

MAX_TEXT = 64 << 20  # bytes of a JSON or list file
MAX_YAML = 256 << 10  # bytes of a YAML file, which people write by hand
MAX_NODES = 100_000  # values in a YAML file, references followed
MAX_DEPTH = 200  # of values within values
# Longest first: UTF-32 in little endian begins as UTF-16 does.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def regular_size(path: str | Path) -> int:
    """Return the size of a regular file in bytes.

    Raises:
        FileNotFoundError: no such file.
        DataError: a folder, a device, a pipe, or a file that cannot be looked at.
    """
    try:
        found = os.stat(path)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    if not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a pipe or a device"
        raise DataError(path, f"is {kind}, not a regular file. Point to a file.")
    return found.st_size


def read_bytes(path: str | Path, *, limit: int = MAX_TEXT) -> bytes:
    """Read a regular file of at most `limit` bytes.

    Raises:
        FileNotFoundError: no such file.
        DataError: no regular file, too large, or not readable.
    """
    size = regular_size(path)
    if size > limit:
        raise DataError(
            path,
            f"{size} bytes are above the limit of {limit} for such a file. "
            "Point to the file that is meant.",
        )
    try:
        with open(path, "rb") as opened:
            content = opened.read(limit + 1)
    except OSError as error:
        raise unreadable(path, error) from error
    if len(content) > limit:
        raise DataError(path, f"grew above the limit of {limit} bytes while read.")
    return content


def unreadable(path: str | Path, error: BaseException) -> DataError:
    """Return what to raise where the system will not read a file."""
    reason = getattr(error, "strerror", None) or str(error)
    return DataError(
        path, f"cannot be read ({reason}). Check its permissions and its disk."
    )


def decode(path: str | Path, content: bytes) -> str:
    """Return the text of a file: UTF-8, or UTF-16 and UTF-32 as Windows writes them.

    Raises:
        DataError: another encoding.
    """
    name = next((name for mark, name in _MARKS if content.startswith(mark)), None)
    if name is None and b"\0" in content[:4]:  # UTF-16 without a mark
        name = "utf-16-be" if content[:1] == b"\0" else "utf-16-le"
    try:
        return content.decode(name or "utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(
            path,
            f"is not UTF-8 text ({error.reason}, line {line}). Save it again as UTF-8.",
        ) from error


def read_lines(path: str | Path) -> list[str]:
    """Read the lines of a list file that are not empty, without their outer spaces.

    Lines may end as on any system; names are composed (Unicode NFC), so that they
    equal the same names elsewhere.

    Raises:
        FileNotFoundError: no such file.
        DataError: no regular file, too large, or not text.
    """
    text = decode(path, read_bytes(path)).replace("\r\n", "\n").replace("\r", "\n")
    lines = (line.strip("\ufeff\x1a\0").strip() for line in text.split("\n"))
    return [composed(line) for line in lines if line]


def composed(name: str) -> str:
    """Return a name in Unicode's composed form (NFC), as most systems write it."""
    return unicodedata.normalize("NFC", name)


def printable(text: str) -> str:
    """Return `text` without characters that could steer a terminal."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def parse_json(path: str | Path, text: str | bytes, kind: type[T] | Any = Any) -> T:
    """Return the value of strict JSON, of the type asked for.

    Raises:
        DataError: no JSON, a key given twice, or values of another type.
    """
    try:
        value = json.loads(
            text if isinstance(text, str) else decode(path, text),
            object_pairs_hook=_once,
            parse_constant=_no_number,
        )
        _check_depth(value)
    except (ValueError, RecursionError) as error:
        raise DataError(
            path, f"not valid JSON ({error}). Copy or write it again."
        ) from error
    return converted(path, value, kind)


def converted(path: str | Path, value: Any, kind: type[T] | Any) -> T:
    """Return a value read from a file as the type it must have.

    Raises:
        DataError: a value of another type; the message says which and where.
    """
    if kind is Any:
        return value
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, RecursionError, ValueError, TypeError) as error:
        raise DataError(
            path, f"does not hold what it must ({error}). Correct or write it again."
        ) from error


def read_yaml(path: str | Path, kind: type[T] | Any = Any) -> T:
    """Read YAML written by people: no code, no key twice, of the type asked for.

    Raises:
        FileNotFoundError: no such file.
        DataError: no regular file, too large, no YAML, or values of another type.
    """
    import yaml

    text = decode(path, read_bytes(path, limit=MAX_YAML))
    try:
        # bandit calls this unsafe; the loader is a SafeLoader.
        value = yaml.load(text, Loader=_loader())
        _check_nodes(value)
    except (
        *(yaml.YAMLError, RecursionError, ValueError, TypeError),
        *(KeyError, IndexError, AttributeError, OverflowError),
    ) as error:
        problem = " ".join(str(error).split()) or type(error).__name__
        raise DataError(path, f"not valid YAML ({problem}). Correct it.") from error
    return converted(path, value, kind)


def _loader() -> Any:
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Once(base):
        """A safe loader that refuses a key given twice."""

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            keys = [child.value for child, _ in node.value]
            again = [key for i, key in enumerate(keys) if key in keys[:i]]
            if again:
                raise ValueError(f"the key {again[0]!r} is given twice")
            return super().construct_mapping(node, deep=deep)

    return Once


def _check_nodes(value: Any) -> None:
    """Refuse references that unfold to more than a file can mean."""
    open_, count = [value], 0
    while open_:
        count += 1
        if count > MAX_NODES:
            raise ValueError(f"more than {MAX_NODES} values, references followed")
        open_ += _children(open_.pop())


def _check_depth(value: Any) -> None:
    """Refuse values that functions cannot follow down."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for item in level for child in _children(item)]
        if not level:
            return
    raise ValueError(f"nested deeper than {MAX_DEPTH} levels")


def _children(item: Any) -> Iterable[Any]:
    if isinstance(item, dict):
        return item.values()
    return item if isinstance(item, list | tuple | set) else ()


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} is given twice")
        found[key] = value
    return found


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number")

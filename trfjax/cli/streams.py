"""What is printed: no character steers a terminal, and every stream can take it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

_CURSOR_UP = set("\x1b[A\r\n")  # what a progress bar writes to move between bars


class Neutral:
    """A text stream that writes control characters by their number.

    Names of files and classes come from others. Lines, tabs and what progress bars
    need are left alone.
    """

    def __init__(self, stream: Any, *, keep: str = "\n\t\r") -> None:
        self._stream, self._keep = stream, keep

    def write(self, text: str) -> int:
        """Write text; what the encoding lacks is written by its number too."""
        if not set(text) <= _CURSOR_UP:
            kept = (c if c.isprintable() or c in self._keep else _code(c) for c in text)
            text = "".join(kept)
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _code(letter: str) -> str:
    number = ord(letter)
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"


@contextlib.contextmanager
def neutral_streams() -> Iterator[None]:
    """Write to standard output and error without control characters."""
    with (
        contextlib.redirect_stdout(Neutral(sys.stdout)),  # pyright: ignore[reportArgumentType]
        contextlib.redirect_stderr(Neutral(sys.stderr)),  # pyright: ignore[reportArgumentType]
    ):
        yield

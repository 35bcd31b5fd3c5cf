"""The structure of a PNG file: every chunk whole, by its own checksum."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from trfjax.errors import DataError

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def check_png(path: str | Path, content: bytes) -> int:
    """Check all chunks of a PNG; return its bits per channel.

    Raises:
        DataError: a chunk that is cut off or changed, no end, or several pictures.
    """
    place, kind, depth = len(SIGNATURE), b"", 0
    while kind != b"IEND":
        if len(content) < place + 12:
            raise DataError(path, "cut off: a PNG without its end. Copy it again.")
        length, kind = struct.unpack_from(">I4s", content, place)
        end = place + 8 + length
        if len(content) < end + 4:
            raise DataError(path, "cut off within its PNG data. Copy it again.")
        (stored,) = struct.unpack_from(">I", content, end)
        if zlib.crc32(memoryview(content)[place + 4 : end]) != stored:
            raise DataError(
                path, f"damaged: the checksum of its {kind!r} differs. Copy it again."
            )
        if not depth and (kind != b"IHDR" or length != 13):
            raise DataError(path, "damaged: a PNG without its header. Copy it again.")
        if kind == b"IHDR":
            depth = max(content[place + 16], 1)
        if kind == b"acTL":
            raise DataError(path, "an animated PNG. Save the picture that is meant.")
        place = end + 4
    return depth

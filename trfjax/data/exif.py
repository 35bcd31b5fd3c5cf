"""The EXIF orientation of a photograph, and pixels turned by it."""

from __future__ import annotations

import struct

import numpy as np

_ORIENTATION, _SHORT = 0x0112, 3  # the tag, and its type


def orientation_of(exif: bytes) -> int:
    """Return the orientation in a block of EXIF, 1 (upright) to 8; 5 to 8 swap sides.

    A damaged block says nothing: 1.
    """
    block = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, start)
        for i in range(count):
            entry = struct.unpack_from(f"{order}HHIH", block, start + 2 + 12 * i)
            if entry[:2] == (_ORIENTATION, _SHORT):
                return entry[3] if 1 <= entry[3] <= 8 else 1
    except struct.error:
        pass
    return 1


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Return `(h, w, c)` pixels as viewers show them."""
    if orientation > 4:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)

"""Arrays of `.npy` and `.npz` files, their headers checked before anything is kept."""

from __future__ import annotations

import ast
import math
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from trfjax.errors import DataError
from trfjax.reading import regular_size, unreadable

MAX_BYTES = 8 << 30  # of the arrays of one file
FREE_RATIO, FREE_BYTES = 20, 256 << 20  # what may unpack to more than it should
_MAX_HEADER = 10_000  # characters, as NumPy itself allows
_MAX_MEMBERS = 1000
_DAMAGE = (
    *(ValueError, SyntaxError, TypeError, KeyError, struct.error, EOFError),
    *(tokenize.TokenError, RecursionError, MemoryError, OverflowError),
)


class Header(NamedTuple):
    """The header of a `.npy` file: what it says of its array."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool
    offset: int  # of the first value

    @property
    def size(self) -> int:
        """Bytes of the values."""
        return math.prod(self.shape) * self.dtype.itemsize


OTHERS = {  # what is often given in their place, and what to do with it
    ".npy": "Save arrays by name: numpy.savez(path, features=..., labels=...).",
    **dict.fromkeys(
        (".pt", ".pth", ".ckpt"),
        "Read torch weights with trfjax.models.convert and keep them with save_model.",
    ),
}


def may_unpack_to(size: int, *, limit: int = MAX_BYTES) -> int:
    """Return what a packed file of `size` bytes may unpack to, in bytes.

    256 MiB, or 20 times its own size where that is more, and never above `limit`.
    """
    return min(limit, max(FREE_BYTES, FREE_RATIO * size))


def map_npy(path: str | Path, *, limit: int = MAX_BYTES) -> np.ndarray:
    """Map a `.npy` file, read-only; values are read when they are looked at.

    Raises:
        FileNotFoundError: no such file.
        DataError: damaged, of another size than its header says, above the limit, or
            of Python objects.
    """
    size = regular_size(path)
    try:
        with open(path, "rb") as opened:
            header = _header(path, opened, size, limit)
    except OSError as error:
        raise unreadable(path, error) from error
    order = "F" if header.fortran else "C"
    if not header.size:
        return np.empty(header.shape, header.dtype, order)
    return np.memmap(path, header.dtype, "r", header.offset, header.shape, order)


def read_npz(path: str | Path, *, limit: int = MAX_BYTES) -> dict[str, np.ndarray]:
    """Read the arrays of a `.npz` file; nothing in it is run.

    It may unpack to 256 MiB, or to 20 times its own size where that is more.

    Raises:
        FileNotFoundError: no such file.
        DataError: damaged, above the limit, or an array of Python objects.
    """
    size = regular_size(path)
    limit = may_unpack_to(size, limit=limit)
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(path, archive, limit)
            return {name: _member(path, archive, i) for name, i in members.items()}
    except (
        *(zipfile.BadZipFile, zlib.error, OSError, RuntimeError),
        *(NotImplementedError, EOFError, ValueError, struct.error),
    ) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(path, f"damaged .npz ({error}). Write it again.") from error


def _members(
    path: str | Path, archive: zipfile.ZipFile, limit: int
) -> dict[str, zipfile.ZipInfo]:
    """Return the members by the name of their array, all that can be one."""
    listed = archive.infolist()
    total = sum(info.file_size for info in listed)
    if total > limit or len(listed) > _MAX_MEMBERS:
        raise DataError(
            path,
            f"its {len(listed)} members unpack to {total} bytes, above the limit of "
            f"{limit} (at most {_MAX_MEMBERS} members). Save fewer arrays in it, or "
            "save them as .safetensors.",
        )
    found: dict[str, zipfile.ZipInfo] = {}
    for info in listed:
        name = info.filename.removesuffix(".npy")
        if name == info.filename or name in found:
            problem = "is no .npy" if name == info.filename else "is there twice"
            raise DataError(
                path, f"damaged .npz (member {info.filename!r} {problem}). Write again."
            )
        found[name] = info
    return found


def _member(
    path: str | Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo
) -> np.ndarray:
    opened: Any = archive.open(info)  # its stubs know no `readinto`
    with opened as stream:
        header = _header(path, stream, info.file_size, MAX_BYTES, info.filename)
        array = np.empty(header.size, np.uint8)
        filled = 0
        while filled < header.size:
            count = stream.readinto(array[filled:])
            if not count:
                raise EOFError(f"{info.filename} ends early")
            filled += count
        stream.read(1)  # the end, where the checksum is compared
    order = "F" if header.fortran else "C"
    return array.view(header.dtype).reshape(header.shape, order=order)


def _header(
    path: str | Path, stream: Any, size: int, limit: int, member: str = ""
) -> Header:
    """Read a header and hold it against the size of what it stands before."""
    what = f"member {member!r}: " if member else ""
    try:
        header = _parsed(stream)
    except _DAMAGE as error:
        raise DataError(
            path, f"{what}damaged or no plain .npy ({error}). Write it again."
        ) from error
    if header.dtype.hasobject:
        raise DataError(
            path,
            f"{what}an array of object dtype, which needs pickle and is not loaded. "
            "Save it again as float32 or int32.",
        )
    if header.dtype.kind not in "biufcSU":
        raise DataError(
            path,
            f"{what}dtype {header.dtype} is not read. Save it as float32 or int32.",
        )
    if header.size > limit:
        raise DataError(
            path, f"{what}{header.size} bytes are above the limit of {limit}."
        )
    if header.offset + header.size != size:
        raise DataError(
            path,
            f"{what}damaged: its header says {header.size} bytes of values, there are "
            f"{size - header.offset}. Write it again.",
        )
    return header


def _parsed(stream: Any) -> Header:
    start = stream.read(8)
    if start[:6] != b"\x93NUMPY" or len(start) < 8 or start[6] not in (1, 2, 3):
        raise ValueError("it does not begin as one")
    wide = 2 if start[6] == 1 else 4
    (length,) = struct.unpack("<H" if wide == 2 else "<I", stream.read(wide))
    if length > _MAX_HEADER:
        raise ValueError(f"a header of {length} characters")
    text = stream.read(length)
    if len(text) < length:
        raise ValueError("cut off in its header")
    found = ast.literal_eval(text.decode("utf-8").strip())
    if not isinstance(found, dict) or set(found) != {"descr", "fortran_order", "shape"}:
        raise ValueError("a header of other keys")
    shape, fortran = found["shape"], found["fortran_order"]
    plain = isinstance(shape, tuple) and all(type(i) is int and i >= 0 for i in shape)
    if not plain or type(fortran) is not bool or len(shape) > 32:
        raise ValueError("a header of other types")
    dtype = np.lib.format.descr_to_dtype(found["descr"])
    return Header(dtype, shape, fortran, 8 + wide + length)


def refuse_other(path: Path) -> None:
    """Refuse a file whose name says that it is no collection of named arrays.

    Args:
        path: of a file that should be `.safetensors` or `.npz`.

    Raises:
        FileNotFoundError: no such file.
        DataError: another kind; the message says what to do with it.
    """
    if path.suffix in OTHERS:
        regular_size(path)
        raise DataError(path, f"is no .safetensors or .npz file. {OTHERS[path.suffix]}")

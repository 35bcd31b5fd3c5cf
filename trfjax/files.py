"""Files that are either whole or absent, and readers that never run what they read."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
import sys
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from trfjax.errors import DataError, WriteError
from trfjax.npy import MAX_BYTES, read_npz, refuse_other
from trfjax.reading import (
    MAX_TEXT,
    converted,
    parse_json,
    read_bytes,
    regular_size,
    unreadable,
)

T = TypeVar("T")

HEADER = "trfjax"  # the key of our metadata in a .safetensors file
SEAL = "sha256"  # the key of the digest of everything else in a file


def user_folder() -> Path:
    """Return `$TRFJAX_CACHE`, or else `trfjax` in the user's cache folder."""
    if chosen := os.environ.get("TRFJAX_CACHE"):
        return Path(chosen)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "trfjax"


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it takes that name.

    On any failure the temporary file is removed and an older file stays untouched.
    The file gets the permissions that the user's umask leaves.

    Raises:
        WriteError: the system cannot write there.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex}.tmp{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
        _sync(path.parent)
    except OSError as error:
        if error.filename in (None, str(temporary), str(path.parent)):
            raise WriteError(path, error) from error
        raise
    finally:
        with contextlib.suppress(OSError):  # the first error is the one to tell
            temporary.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Bring a file or the names in a folder to the disk."""
    if os.name == "nt" and path.is_dir():
        return  # folders cannot be opened
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def strict(value: Any) -> Any:
    """Return `value` with only what strict JSON knows; NaN and infinity become null."""
    if isinstance(value, Mapping):
        return {str(key): strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [strict(item) for item in value]
    if hasattr(value, "tolist"):
        return strict(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_json(path: str | Path, value: Mapping[str, Any]) -> None:
    """Write strict JSON atomically, with a digest of all that it says."""
    plain = strict(value)
    signed = {**plain, SEAL: digest(plain)}
    write_text(path, json.dumps(signed, indent=1, allow_nan=False) + "\n")


def read_json(path: str | Path, kind: type[T] | Any = Any) -> T:
    """Read what `write_json` wrote, of the type asked for.

    Raises:
        FileNotFoundError: no such file.
        DataError: damaged, not written by `write_json`, or of another type.
    """
    value = parse_json(path, read_bytes(path), dict[str, Any])
    _check_seal(path, value.pop(SEAL, None), value)
    return converted(path, value, kind)


def _check_seal(path: str | Path, seal: Any, *content: Any) -> None:
    if seal != digest(*content):
        problem = "it has no digest" if seal is None else "its digest is another"
        raise DataError(
            path,
            f"damaged or changed by hand: {problem}. Copy it again, or remove it and "
            "make it again.",
        )


def write_arrays(
    path: str | Path,
    arrays: Mapping[str, Any],
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write named arrays and JSON metadata to one `.safetensors` file, atomically.

    The metadata holds a digest of all that the file says.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    plain = {key: np.ascontiguousarray(item) for key, item in arrays.items()}
    known = strict(metadata or {})
    # One key: the order of several would differ from write to write.
    text = json.dumps({**known, SEAL: digest(known, *_parts(plain))}, sort_keys=True)
    with atomic_path(path) as temporary:
        try:
            save_file(plain, temporary, metadata={HEADER: text})
        except SafetensorError as error:  # the disk, as its Rust sees it
            found = re.search(r"os error (\d+)", str(error))
            raise OSError(int(found[1]) if found else 0, str(error)) from error


def read_arrays(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read arrays and metadata from `.safetensors` or `.npz`; never unpickles.

    What `write_arrays` wrote is held against its digest; a file of other programs has
    no metadata here.

    Raises:
        FileNotFoundError: no such file.
        DataError: damaged, above the limit, or not such a file.
    """
    path = Path(path)
    refuse_other(path)
    if path.suffix == ".npz":
        return read_npz(path), {}
    _check_header(path)
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as opened:
            texts = opened.metadata() or {}
            arrays = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError) as error:
        raise DataError(
            path, f"damaged or not a .safetensors file ({error}). Write it again."
        ) from error
    if HEADER not in texts:
        if any(f'"{SEAL}"' in text for text in texts.values()):
            raise DataError(path, "damaged: the name of its metadata. Copy it again.")
        return arrays, {}
    metadata = parse_json(path, texts[HEADER], dict[str, Any])
    _check_seal(path, metadata.pop(SEAL, None), metadata, *_parts(arrays))
    return arrays, metadata


def _check_header(path: Path) -> None:
    """Hold the length of a .safetensors header against the file and the limits."""
    size = regular_size(path)
    try:
        with open(path, "rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
    except OSError as error:
        raise unreadable(path, error) from error
    if size > MAX_BYTES or length > min(MAX_TEXT, size - 8):
        raise DataError(
            path,
            f"damaged or not a .safetensors file (a header of {length} bytes in a file "
            f"of {size}; at most {MAX_TEXT} in {MAX_BYTES}). Write it again.",
        )


def _parts(arrays: Mapping[str, np.ndarray]) -> Iterator[Any]:
    for name in sorted(arrays):
        yield from (name, arrays[name])


def digest(*parts: Any) -> str:
    """Return a short content hash of JSON-like values, bytes and arrays."""
    state = hashlib.sha256()
    for part in parts:
        if isinstance(part, bytes):
            state.update(part)
        elif hasattr(part, "tobytes") and hasattr(part, "dtype"):
            state.update(f"{part.dtype}{part.shape}".encode())
            state.update(np.ascontiguousarray(part).tobytes())
        else:
            state.update(json.dumps(strict(part), sort_keys=True).encode())
        state.update(b"\0")
    return state.hexdigest()[:24]


def read_table(path: str | Path) -> dict[str, list[Any]]:
    """Return the columns of a CSV or Parquet file.

    Raises:
        FileNotFoundError: there is none.
        DataError: another kind of file, or one that is damaged.
    """
    from pyarrow import ArrowException, csv, parquet

    path = Path(path)
    regular_size(path)
    readers = {".csv": csv.read_csv, ".parquet": parquet.read_table}
    if path.suffix.lower() not in readers:
        raise DataError(path, "is neither a .csv nor a .parquet file")
    try:
        return readers[path.suffix.lower()](path).to_pydict()
    except (ArrowException, OSError, ValueError, OverflowError) as error:
        raise DataError(
            path, f"cannot be read as a table ({error}). Write it again."
        ) from error

"""Files that are either whole or absent, and readers that never run what they read."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trfjax.errors import DataError

HEADER = "trfjax"  # the key of our metadata in a .safetensors file


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it takes that name.

    On any failure the temporary file is removed and an older file stays untouched.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(
        dir=path.parent, prefix=f".{path.stem}.", suffix=f".tmp{path.suffix}"
    )
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


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


def write_json(path: str | Path, value: Any) -> None:
    """Write strict JSON atomically."""
    write_text(path, json.dumps(strict(value), indent=1, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read JSON; a damaged file is a `DataError`."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(path, f"not valid JSON ({error})") from error


def write_arrays(
    path: str | Path,
    arrays: Mapping[str, Any],
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write named arrays and JSON metadata to one `.safetensors` file, atomically."""
    from safetensors.numpy import save_file

    # One key: the order of several would differ from write to write.
    header = {HEADER: json.dumps(strict(metadata or {}), sort_keys=True)}
    plain = {key: np.ascontiguousarray(item) for key, item in arrays.items()}
    with atomic_path(path) as temporary:
        save_file(plain, temporary, metadata=header)


def read_arrays(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read arrays and metadata from `.safetensors` or `.npz`; never unpickles."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    if path.suffix == ".npz":
        return _read_npz(path), {}
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as opened:
            metadata = json.loads((opened.metadata() or {}).get(HEADER, "{}"))
            arrays = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
    except (SafetensorError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(
            path, f"damaged or not a .safetensors file ({error}). Write it again."
        ) from error
    return arrays, metadata


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    import zipfile
    import zlib

    arrays: dict[str, np.ndarray] = {}
    try:
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as archive:
            for name in archive.files:
                arrays[name] = archive[name]
    except ValueError as error:
        if "pickle" in str(error):
            raise DataError(
                path,
                "holds an array of object dtype, which needs pickle and is not "
                "loaded. Save it again as float32 or int32.",
            ) from error
        raise DataError(path, f"damaged .npz ({error}). Write it again.") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise DataError(path, f"damaged .npz ({error}). Write it again.") from error
    return arrays


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
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    readers = {".csv": csv.read_csv, ".parquet": parquet.read_table}
    if path.suffix.lower() not in readers:
        raise DataError(path, "is neither a .csv nor a .parquet file")
    try:
        return readers[path.suffix.lower()](path).to_pydict()
    except ArrowException as error:
        raise DataError(path, f"cannot be read as a table ({error})") from error

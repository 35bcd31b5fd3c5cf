"""Classification sets kept in one container file: IDX, HDF5, zip."""

from __future__ import annotations

import dataclasses
import gzip
import math
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from trfjax.data.paths import (
    check_inside,
    existing_folder,
    visible_files,
)
from trfjax.errors import DataError, missing_extra
from trfjax.npy import may_unpack_to
from trfjax.reading import regular_size

LIMIT = 2**31  # bytes one file may unpack to
DIGITS = tuple("0123456789")


@dataclasses.dataclass(frozen=True)
class Items:
    """The images of a source: one entry each, pixels only when asked for."""

    ids: list[str]
    labels: list[int]
    names: tuple[str, ...]
    image: Callable[[int], np.ndarray]  # position -> (h, w, c)
    stamp: Any  # identity of the files
    domains: list[str] | None = None
    groups: list[str] | None = None  # None: every image its own


def stamp_of(*paths: Path) -> list[Any]:
    """Return name, size and time of change of every file."""
    stats = [path.stat() for path in paths]
    return [
        [path.name, stat.st_size, stat.st_mtime_ns]
        for path, stat in zip(paths, stats, strict=True)
    ]


def no_split(kind: str, split: str | None) -> None:
    """Refuse a split where there is none."""
    if split is not None:
        raise ValueError(
            f"split: {kind!r} has no splits here; use domain=, or Dataset.split"
        )


def mnist(root: Path, split: str | None, follow_links: bool) -> Items:
    """List digits of IDX files, gzip or plain; `t10k` is the test split."""
    existing_folder(root)
    prefixes = {"train": "train", "test": "t10k"}
    if split is not None and split not in prefixes:
        raise ValueError(f"split: no {split!r} for 'mnist'; available: train, test")
    found: list[tuple[str, Path, Path]] = []
    for part, prefix in prefixes.items():
        images = _idx_files(root, f"{prefix}-images[-.]idx3-ubyte")
        labels = _idx_files(root, f"{prefix}-labels[-.]idx1-ubyte")
        if images and labels and split in (None, part):
            found.append((part, images[0], labels[0]))
    if not found:
        raise DataError(
            root,
            "no pair such as t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz"
            f"{f' for split {split!r}' if split else ''}. Check root=.",
        )
    files = [path for _, images, labels in found for path in (images, labels)]
    if not follow_links:
        check_inside(root, files)
    pixels = [read_idx(images, 3) for _, images, _ in found]
    digits = [read_idx(labels, 1) for _, _, labels in found]
    for (_, path, _), x, y in zip(found, pixels, digits, strict=True):
        if len(x) != len(y):
            raise DataError(path, f"{len(x)} images, but {len(y)} labels beside it.")
        if y.size and y.max() > 9:
            raise DataError(path, f"label {y.max()} beside it is outside 0..9.")
    every = np.concatenate(pixels)
    return Items(
        ids=[
            f"{part}/{i:05d}"
            for (part, _, _), x in zip(found, pixels, strict=True)
            for i in range(len(x))
        ],
        labels=np.concatenate(digits).tolist(),
        names=DIGITS,
        image=lambda position: every[position][..., None].copy(),
        stamp=stamp_of(*files),
    )


def _idx_files(root: Path, name: str) -> list[Path]:
    """Return plain or packed files, or those in a folder of the name (Kaggle's)."""
    patterns = (f"{name}*", f"{name}*/{name}*")
    return [path for pattern in patterns for path in visible_files(root, pattern)]


def read_idx(path: Path, ndim: int) -> np.ndarray:
    """Read an IDX file of unsigned bytes; its header is checked before allocating.

    Raises:
        DataError: not IDX, another rank or type, or a size that differs from what
            the header declares.
    """
    packed, size = path.suffix == ".gz", regular_size(path)
    try:
        with gzip.open(path) if packed else open(path, "rb") as file:
            header = file.read(4 + 4 * ndim)
            if len(header) < 4 + 4 * ndim or header[:4] != bytes((0, 0, 8, ndim)):
                raise DataError(path, f"not an IDX file of bytes with {ndim} axes.")
            shape = struct.unpack(f">{ndim}I", header[4:])
            declared = math.prod(shape)
            if declared > (may_unpack_to(size) if packed else min(size, LIMIT)):
                raise DataError(path, f"header declares {shape}, too large.")
            content = file.read(declared + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            path, f"damaged or cut off ({error}). Copy it again."
        ) from error
    if len(content) != declared:
        raise DataError(
            path, f"header declares {declared} bytes, the file holds another number."
        )
    return np.frombuffer(content, np.uint8).reshape(shape)


def usps(root: Path, split: str | None, follow_links: bool) -> Items:
    """List digits of `usps.h5`: 16x16 grey, stored as floats in [0, 1]."""
    try:
        import h5py
    except ImportError as error:
        raise missing_extra("reading usps.h5", "hdf5") from error

    path = root if root.suffix == ".h5" else existing_folder(root) / "usps.h5"
    if not path.exists():
        raise DataError(path, "no such file. Point root= to the folder of usps.h5.")
    if not follow_links:
        check_inside(path.parent, [path])
    regular_size(path)
    try:
        with h5py.File(path, "r") as file:
            known = [part for part in ("train", "test") if part in file]
            if split is not None and split not in known:
                raise ValueError(
                    f"split: no {split!r} in usps.h5; available: {', '.join(known)}"
                )
            parts = [part for part in known if split in (None, part)]
            pixels = [_h5_array(path, file, f"{part}/data", 2) for part in parts]
            digits = [_h5_array(path, file, f"{part}/target", 1) for part in parts]
    except (OSError, LookupError, RuntimeError, TypeError, MemoryError) as error:
        raise DataError(path, f"damaged or not HDF5 ({error}). Copy it again.") from (
            error
        )
    if not parts:
        raise DataError(path, "no group 'train' or 'test'. Copy usps.h5 again.")
    values, labels = np.concatenate(pixels), np.concatenate(digits)
    if values.ndim != 2 or len(values) != len(labels) or values.shape[1] != 256:
        raise DataError(path, f"data {values.shape} and target {labels.shape} differ.")
    in_range = np.all((values >= 0) & (values <= 1))
    if not (in_range and set(labels.tolist()) <= {*range(10)}):
        raise DataError(path, "pixels outside [0, 1] or digits outside 0..9.")
    grey = np.rint(255 * values).astype(np.uint8).reshape(-1, 16, 16, 1)
    return Items(
        ids=[
            f"{part}/{i:05d}"
            for part, x in zip(parts, pixels, strict=True)
            for i in range(len(x))
        ],
        labels=[int(i) for i in labels],
        names=DIGITS,
        image=lambda position: grey[position].copy(),
        stamp=stamp_of(path),
    )


def _h5_array(path: Path, file: Any, name: str, ndim: int) -> np.ndarray:
    """Return a numeric array that lies in this file itself."""
    import h5py

    kinds = [file.get(part, getlink=True) for part in (name.split("/")[0], name)]
    item = file[name] if all(type(kind) is h5py.HardLink for kind in kinds) else None
    if (
        not isinstance(item, h5py.Dataset)
        or item.external
        or item.is_virtual
        or item.dtype.kind not in "fiu"
        or item.ndim != ndim
        or item.size * item.dtype.itemsize > may_unpack_to(item.id.get_storage_size())
    ):
        raise DataError(
            path,
            f"{name} is no plain numeric array of {ndim} axes, stored in full. "
            "Copy the file again.",
        )
    return np.asarray(item[()])

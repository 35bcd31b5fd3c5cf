"""All levels of a network as one feature space: side by side, wide ones projected."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from trfjax.arrays import as_float
from trfjax.typing import ArrayInput

WIDE = 64  # columns that a level keeps at most
LEVEL = "levels/"  # before the name of a map that is one of several levels


def level_name(place: int, name: Any) -> str:
    """Return what the map of a level is called among the maps, in their order."""
    return f"{LEVEL}{place:02d}/{name}"


def levels_of(read: dict[str, np.ndarray]) -> np.ndarray:
    """Return all levels side by side, `(n, d)`, the wide ones projected.

    A level of more than `WIDE` columns is turned by a fixed random orthonormal map and
    cut to that many, which keeps squared distances in the mean.
    """
    parts = [read[name] for name in sorted(read) if name.startswith(LEVEL)]
    narrow = [
        part if part.shape[1] <= WIDE else part @ _projection(part.shape[1])
        for part in parts
    ]
    return np.concatenate(narrow, axis=1)


def side_by_side(levels: Mapping[str, ArrayInput], axes: int) -> np.ndarray:
    """Return levels, all `(b, h, w, d)` or all `(n, d)`, as one array."""
    maps = {
        level_name(i, name): np.asarray(
            as_float(f"levels[{name!r}]", value), np.float32
        )
        for i, (name, value) in enumerate(levels.items())
    }
    places = {array.shape[:-1] for array in maps.values()}
    if len(places) != 1 or len(next(iter(places))) != axes:
        shapes = ", ".join(str(array.shape) for array in maps.values())
        raise ValueError(
            f"levels: shapes {shapes or 'of none'}; all must be at the pixels of the "
            "labels, (b, h, w, d) or (n, d). Resize them to one size"
        )
    rows = {name: array.reshape(-1, array.shape[-1]) for name, array in maps.items()}
    return levels_of(rows).reshape(*places.pop(), -1)


@functools.lru_cache
def _projection(width: int) -> np.ndarray:
    drawn = np.random.default_rng([width, WIDE]).normal(size=(width, WIDE))
    basis, _ = np.linalg.qr(drawn)
    return (basis * np.sqrt(width / WIDE)).astype(np.float32)

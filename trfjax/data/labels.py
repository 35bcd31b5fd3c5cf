"""Label maps: from the ids in a file to class indices, once, before anything else."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from trfjax.typing import IGNORE


@dataclasses.dataclass(frozen=True)
class LabelMap:
    """Class names and the rule from stored ids to `0..C-1` or the ignore value.

    With `ids=None` the stored ids are the class indices already.
    """

    names: tuple[str, ...]
    ids: Mapping[int, int] | None = None  # stored id -> class index or ignore value
    ignore: int = IGNORE
    palette: tuple[tuple[int, int, int], ...] | None = None  # RGB of every class

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.names):
            raise ValueError(f"names: class names repeat in {self.names}")
        if 0 <= self.ignore < len(self.names):
            raise ValueError(
                f"ignore: {self.ignore} is the index of class "
                f"{self.names[self.ignore]!r}; it must lie outside 0..{len(self) - 1}"
            )
        allowed = {*range(len(self)), self.ignore}
        wrong = [f"{i} -> {c}" for i, c in (self.ids or {}).items() if c not in allowed]
        if wrong:
            raise ValueError(
                f"ids: {wrong[0]} is neither a class 0..{len(self) - 1} nor the "
                f"ignore value {self.ignore}"
            )
        if self.palette is not None and len(self.palette) != len(self):
            raise ValueError(
                f"palette: {len(self.palette)} colours for {len(self)} classes"
            )

    def __len__(self) -> int:
        return len(self.names)

    def __call__(self, stored: np.ndarray, *, where: str = "label") -> np.ndarray:
        """Map stored ids to class indices (int32); an unknown id is an error.

        Args:
            stored: integer ids of any shape.
            where: what the message calls the array, usually a file name.

        Raises:
            ValueError: an id that the map does not know.
        """
        if stored.dtype.kind not in "iub":
            raise TypeError(f"{where}: ids are integers, not {stored.dtype}")
        known = {i: i for i in range(len(self))} if self.ids is None else dict(self.ids)
        known.setdefault(self.ignore, self.ignore)
        present, position = _unique(stored)
        unknown = [i for i in present if i not in known]
        if unknown:
            raise ValueError(
                f"{where}: label id {unknown[0]} is not in the label map of "
                f"{len(self)} classes (ignore={self.ignore}); unknown ids: "
                f"{unknown[:8]}. Choose the label map these files were made with."
            )
        return np.asarray(np.array([known[i] for i in present], np.int32)[position])


# Of images that nobody has labelled: every pixel counts, and all are alike.
NO_LABELS = LabelMap(("unlabelled",))

# Values that mark pixels to ignore, in one code base or another.
_VOID = {250, 254, 255, 65535, 32767, 2**31 - 1, 2**32 - 1}


def looks_void(ids: Sequence[int]) -> int | None:
    """Return the id that looks like pixels to ignore and not like a class, if any.

    That is a negative one, or one such as 250 or 255 far above all others.

    Args:
        ids: those present, ascending, without the ones known to be ignored.
    """
    if ids and ids[0] < 0:
        return ids[0]
    below = ids[-2] if len(ids) > 1 else 0
    return ids[-1] if ids and ids[-1] in _VOID and below < ids[-1] // 2 else None


def _unique(stored: np.ndarray) -> tuple[list[int], np.ndarray]:
    """Return the ids present and, for every element, its position among them."""
    if stored.size and stored.min() >= 0 and stored.max() < 2**16:  # no sorting
        ids = stored.astype(np.intp)
        present = np.flatnonzero(np.bincount(ids.ravel()))
        table = np.zeros(present[-1] + 1, np.int32)
        table[present] = np.arange(len(present))
        return present.tolist(), np.asarray(table[ids])
    present, position = np.unique(stored, return_inverse=True)
    return present.tolist(), np.asarray(position).reshape(stored.shape)

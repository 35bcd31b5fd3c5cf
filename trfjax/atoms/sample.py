"""Some pixels of a compressed set as they were, by which its atoms can be judged."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Int

SAMPLE = 16_384  # pixels kept of a set, at most
NUMBERS = 4_194_304  # features of all of them together, at most
NAMES = ("features", "labels", "atom", "image")


@dataclasses.dataclass(frozen=True, eq=False)
class Sample:
    """Pixels drawn without replacement, each as likely as any other, in random order.

    Any run of rows is a smaller sample of the same kind.

    Raises:
        ValueError: columns of different lengths.
    """

    features: np.ndarray  # (n, d) float32
    labels: np.ndarray  # (n,) as the others
    atom: np.ndarray  # the atom the pixel went to
    image: np.ndarray

    def __post_init__(self) -> None:
        lengths = {name: len(getattr(self, name)) for name in NAMES}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"sample: columns must be of one length, got {lengths}")

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: Any) -> Sample:
        """Return some of the rows."""
        return Sample(*(getattr(self, name)[rows] for name in NAMES))

    def of_images(self, images: Int[np.ndarray, " i"]) -> Sample:
        """Return the pixels of some images, each image as often as it is named."""
        copies = [np.flatnonzero(self.image == image) for image in images]
        rows = np.concatenate([np.zeros(0, np.int64), *copies])
        place = np.repeat(np.arange(len(images)), [len(part) for part in copies])
        order = np.argsort(rows, kind="stable")  # the random order of the sample
        found = self.take(rows[order])
        return dataclasses.replace(found, image=place[order].astype(np.int32))


def mixed(first: Sample, second: Sample, share: float) -> Sample:
    """Return a sample of the union of two sets.

    Args:
        first: of one set.
        second: of the other.
        share: of the pixels of the union that are in the first set.
    """
    sizes = len(first) / max(share, 1e-12), len(second) / max(1 - share, 1e-12)
    size = min(*sizes, SAMPLE)
    counts = round(size * share), round(size * (1 - share))
    parts = first.take(slice(counts[0])), second.take(slice(counts[1]))
    columns = [np.concatenate([getattr(p, name) for p in parts]) for name in NAMES]
    order = np.random.default_rng(0).permutation(len(columns[1]))
    return Sample(*columns).take(order)


class Reservoir:
    """A sample of fixed size of rows that come in one after the other."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng([seed, 0x5A3B1E])
        self.parts: list[tuple[np.ndarray, Sample]] = []
        self.held, self.limit, self.size = 0, 1.0, SAMPLE

    def add(self, sample: Sample) -> None:
        """Take rows; the smallest of the random numbers all rows are given stay."""
        self.size = min(SAMPLE, max(1, NUMBERS // max(sample.features.shape[1], 1)))
        lot = self.rng.random(len(sample))
        rows = np.flatnonzero(lot < self.limit)
        self.parts.append((lot[rows], sample.take(rows)))
        self.held += len(rows)
        if self.held > 2 * self.size:
            lot, found = self._first()
            self.parts, self.held = [(lot, found)], len(found)
            self.limit = float(lot[-1])

    def sample(self) -> Sample:
        """Return what is held, in random order."""
        return self._first()[1]

    def _first(self) -> tuple[np.ndarray, Sample]:
        lot = np.concatenate([lot for lot, _ in self.parts])
        order = np.argsort(lot)[: self.size]
        columns = (
            np.concatenate([getattr(part, name) for _, part in self.parts])[order]
            for name in NAMES
        )
        return lot[order], Sample(*columns)

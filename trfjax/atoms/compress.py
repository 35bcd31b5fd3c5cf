"""Compress the pixels of any number of images, one image in memory at a time."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from trfjax.arrays import as_float, as_labels, index_labels, row_weights
from trfjax.atoms.atoms import Atoms
from trfjax.atoms.groups import renumbered, weighted_means
from trfjax.atoms.join import Cells, join
from trfjax.atoms.sample import Reservoir, Sample
from trfjax.atoms.search import centres_of, nearest_of
from trfjax.shapes import flatten
from trfjax.typing import IGNORE, ArrayInput

VERSION = 2  # of how pixels are compressed; part of what kept features depend on
ATOMS = 512
FINE = 65_536  # finer atoms of all images together, which bounds the memory
FINE_LEAST = 32  # finer atoms of an image at least
FINE_EACH = 128  # and at most, unless the images are so few that they need more
SAMPLE = 8  # pixels an image gives to the search, for every atom
STEPS = 4  # Lloyd steps within an image
EACH = 32  # pixels of an image for every finer atom; the search costs their square


def compress(
    features: ArrayInput,
    labels: ArrayInput,
    *,
    image: ArrayInput | None = None,
    atoms: int = ATOMS,
    num_classes: int | None = None,
    ignore: int | Collection[int] = IGNORE,
    seed: int = 0,
) -> Atoms:
    """Compress labelled pixels into weighted points that carry label histograms.

    Every image is quantised by itself (k-means++ and Lloyd steps on a sample, then all
    of its pixels go to their nearest centre), and the atoms of all images are then
    joined to `atoms` in the same way. Points are means of all their pixels.

    Args:
        features: `(b, h, w, d)` maps, each an image, or `(n, d)` rows.
        labels: `(b, h, w)` or `(n,)` integer ids.
        image: `(n,)` image of every row; without it, rows are a single image.
        atoms: points at most; there are fewer where there are fewer distinct pixels.
        num_classes: None re-indexes the ids present; a number fixes the range.
        ignore: the label, or labels, of pixels that are left out.
        seed: of the search.

    Returns:
        Points, their weights by label and image, and how far pixels lie from them.

    Raises:
        TypeError, ValueError: arrays that do not fit together, values that are not
            finite, labels out of range, nothing left.
    """
    values = as_float("features", features, check=False)
    ids = as_labels("labels", labels)
    if image is None:
        image = _image_of_maps(values, ids)
    rows, flat = flatten(("features", "labels"), values, ids)
    kept = np.asarray(row_weights("labels", flat, ignore)) > 0
    index, classes = index_labels("labels", flat, kept, num_classes, ignore)
    names, which = np.unique(
        np.asarray(as_labels("image", image)).reshape(-1), return_inverse=True
    )
    if len(which) != len(kept):
        raise ValueError(f"image: {len(which)} entries for {len(kept)} rows")
    found = Compressor(len(names), len(classes), atoms=atoms, seed=seed)
    order = np.argsort(which, kind="stable")
    ends = np.searchsorted(which[order], np.arange(len(names) + 1))
    rows, index = np.asarray(rows), np.asarray(index)
    for i, name in enumerate(names):
        part = order[ends[i] : ends[i + 1]]
        part = part[kept[part]]
        found.add(rows[part], index[part], str(name))
    return found.finish(facts={"classes": list(classes)})


def _image_of_maps(features: Any, labels: Any) -> np.ndarray:
    """Return the image of every row: maps are one each, rows are one together."""
    if features.ndim != 4:
        return np.zeros(labels.shape, np.int64)
    each = np.arange(len(labels)).reshape(-1, *[1] * (labels.ndim - 1))
    return np.broadcast_to(each, labels.shape)


class Compressor:
    """Takes one image after the other and returns the atoms of all."""

    def __init__(
        self, images: int, num_classes: int, *, atoms: int = ATOMS, seed: int = 0
    ) -> None:
        if not isinstance(atoms, int) or isinstance(atoms, bool) or atoms < 1:
            raise ValueError(f"atoms: {atoms!r} is not a positive int")
        self.atoms, self.seed, self.num_classes = atoms, seed, num_classes
        few = min(FINE_EACH, FINE // max(images, 1))
        self.fine = min(atoms, max(FINE_LEAST, few, atoms // max(images, 1)))
        # A single image is all there is: it is given as many as there shall be.
        self.least = self.fine if images == 1 else min(self.fine, FINE_LEAST)
        self.finer = 0  # finer atoms so far
        self.names: list[str] = []
        self.parts: list[tuple[np.ndarray, ...]] = []
        self.sample = Reservoir(seed)

    def add(self, features: np.ndarray, labels: np.ndarray, name: str) -> None:
        """Take the valid pixels of an image, `(n, d)` and `(n,)`; there may be none.

        Raises:
            ValueError: values that are not finite.
        """
        number = len(self.names)
        self.names.append(name)
        if not len(labels):
            return
        features = np.asarray(as_float("features", features), np.float32)
        index, distance, centres = self._assigned(features, number)
        used, index = renumbered(index, len(centres))
        place = np.full(len(labels), number, np.int32)
        self.sample.add(Sample(features, labels, index + self.finer, place))
        cells = len(used) * self.num_classes
        held, cell = renumbered(index * self.num_classes + labels, cells)
        count = np.bincount(cell).astype(np.float64)
        mean = weighted_means(features, np.ones(len(labels)), cell, len(held))
        atom, label = np.divmod(held, self.num_classes)
        # The distances are to the centres; about the means they are smaller.
        means = weighted_means(mean, count, atom, len(used))
        apart = np.sum((means - centres[used]) ** 2, axis=1, dtype=np.float64)
        spread = np.bincount(index, distance, len(used))
        spread -= np.bincount(atom, count, len(used)) * apart
        cells = Cells(mean, count, label, atom + self.finer)
        self.finer += len(used)
        self.parts.append((*cells, np.maximum(spread, 0), np.full(len(used), number)))

    def finish(self, *, facts: dict[str, Any] | None = None) -> Atoms:
        """Return the atoms of all images.

        Raises:
            ValueError: no image had a pixel.
        """
        if not self.parts:
            raise ValueError("labels: nothing is left to compress, all are ignored")
        *cells, scatter, image = map(np.concatenate, zip(*self.parts, strict=True))
        return join(
            Cells(*cells),
            scatter,
            image,
            self.sample.sample(),
            image_ids=tuple(self.names),
            num_classes=self.num_classes,
            count=self.atoms,
            seed=self.seed,
            facts=facts,
        )

    def _assigned(
        self, features: np.ndarray, number: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the centre of every pixel, the squared distance, and the centres."""
        if len(features) <= self.fine:
            return np.arange(len(features)), np.zeros(len(features)), features
        # Powers of two, so that images of many sizes share a program.
        fine = 2 ** int(np.log2(max(len(features) // EACH, 1)))
        fine = min(max(fine, self.least), self.fine)
        rng = np.random.default_rng([self.seed, number])
        count = min(SAMPLE * fine, len(features))
        sample = features[np.sort(rng.choice(len(features), count, replace=False))]
        weights = np.ones(count, np.float32)
        centres = centres_of(sample, weights, count=fine, steps=STEPS, rng=rng)
        index, distance = nearest_of(features, centres)
        return index, distance.astype(np.float64), centres

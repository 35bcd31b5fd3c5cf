"""Atoms of a set, made of the finer atoms of its images."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from trfjax.atoms.atoms import Atoms
from trfjax.atoms.groups import grouped, over, weighted_means
from trfjax.atoms.sample import Sample


class Cells(NamedTuple):
    """The pixels of one label within one finer atom, a cell a row."""

    mean: np.ndarray  # (n, d)
    pixels: np.ndarray  # (n,)
    label: np.ndarray  # (n,)
    atom: np.ndarray  # (n,) finer atom; each belongs to a single image


def join(
    cells: Cells,
    scatter: np.ndarray,
    image: np.ndarray,
    sample: Sample,
    *,
    image_ids: tuple[str, ...],
    num_classes: int,
    count: int,
    seed: int,
    facts: dict[str, Any] | None = None,
) -> Atoms:
    """Make at most `count` atoms of finer ones.

    Args:
        cells: what the finer atoms hold.
        scatter: `(f,)` sums of squared distances to the mean of a finer atom.
        image: `(f,)` index into `image_ids`.
        sample: some of the pixels, with the finer atom each is in.
        image_ids: names of the images.
        num_classes: number of label ids.
        count: atoms at most.
        seed: of the seeding.
        facts: where the pixels are from.
    """
    weights = np.bincount(cells.atom, cells.pixels, len(scatter))
    points = weighted_means(cells.mean, cells.pixels, cells.atom, len(scatter))
    index, centres = np.arange(len(points)), points
    if count < len(points):
        index, centres = grouped(points, weights, count, seed)
    counts = np.zeros((len(image_ids), len(centres), num_classes))
    np.add.at(counts, (image[cells.atom], index[cells.atom], cells.label), cells.pixels)
    means = np.zeros((len(centres), num_classes, points.shape[1]))
    place = index[cells.atom], cells.label
    np.add.at(means, place, cells.pixels[:, None] * cells.mean)
    spread = np.zeros(counts.shape[:2])
    moved = np.sum((points - centres[index]) ** 2, axis=1)
    np.add.at(spread, (image, index), scatter + weights * moved)
    means = over(means, counts.sum(axis=0)[:, :, None])
    sample = dataclasses.replace(sample, atom=index[sample.atom].astype(np.int32))
    return Atoms(
        points=centres,
        means=means,
        counts=counts.astype(np.float32),
        scatter=spread,
        sample=sample,
        image_ids=image_ids,
        facts=facts or {},
    )

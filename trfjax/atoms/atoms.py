"""All pixels of a set as a few weighted points that carry label histograms."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from trfjax.atoms.groups import grouped, over
from trfjax.atoms.sample import NAMES, Sample, mixed
from trfjax.errors import DataError
from trfjax.files import read_arrays, write_arrays
from trfjax.numbers import as_count

SCHEMA = 2  # of the files
ARRAYS = ("points", "means", "counts", "scatter")


@dataclasses.dataclass(frozen=True, eq=False)
class Atoms:
    """A labelled cloud of any number of pixels, quantised.

    An atom stands where the mean of its pixels is. What it stands for is kept by image,
    so that resampling images changes nothing but weights and histograms.

    Raises:
        ValueError: arrays that do not belong together, negative or no counts.
    """

    points: Float[np.ndarray, "m d"]  # float32
    means: Float[np.ndarray, "m c d"]  # of the pixels of one label; 0 without one
    counts: Float[np.ndarray, "i m c"]  # pixels by image, atom and label; float32
    scatter: Float[np.ndarray, "i m"]  # sum of squared distances of the pixels, float64
    sample: Sample  # some of the pixels as they were, which shows what atoms change
    image_ids: tuple[str, ...]
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)  # JSON, provenance

    def __post_init__(self) -> None:
        _check(self)

    def __len__(self) -> int:
        return len(self.points)

    @property
    def num_classes(self) -> int:
        """Number of label ids, those without a pixel included."""
        return self.counts.shape[2]

    @property
    def pixels(self) -> int:
        """Number of pixels all together."""
        return round(float(self.counts.sum(dtype=np.float64)))

    def histograms(
        self, multiplicities: Float[np.ndarray, "*b i"] | None = None
    ) -> Float[np.ndarray, "*b m c"]:
        """Return the mass of every atom by label; all together sums to 1.

        Args:
            multiplicities: how often every image counts; once by default.
        """
        if multiplicities is None:
            multiplicities = np.ones(len(self.counts))
        flat = self.counts.reshape(len(self.counts), -1)
        found = np.asarray(multiplicities, np.float32) @ flat
        total = found.sum(axis=-1, keepdims=True, dtype=np.float64)
        found /= np.where(total > 0, total, 1).astype(np.float32)
        return found.reshape(*found.shape[:-1], *self.counts.shape[1:])

    def mean_scatter(
        self, multiplicities: Float[np.ndarray, "*b i"] | None = None
    ) -> np.ndarray:
        """Return the mean squared distance of a pixel to its atom, `(*b,)`."""
        if multiplicities is None:
            multiplicities = np.ones(len(self.counts))
        mass = self.counts.sum(axis=(1, 2), dtype=np.float64)
        total = np.maximum(multiplicities @ mass, 1e-30)
        return np.asarray(multiplicities @ self.scatter.sum(axis=1) / total)

    def reduce(self, count: int, *, seed: int = 0) -> Atoms:
        """Return at most `count` atoms, each made of some of these.

        Raises:
            ValueError: a count below 1.
        """
        as_count("count", count)
        if count >= len(self):
            return self
        index, centres = grouped(self.points, self.counts.sum(axis=(0, 2)), count, seed)
        counts = np.zeros((len(self.counts), len(centres), self.num_classes))
        np.add.at(counts.swapaxes(0, 1), index, self.counts.swapaxes(0, 1))
        moved = np.sum((self.points - centres[index]) ** 2, axis=1)
        spread = self.scatter + self.counts.sum(axis=2) * moved
        scatter = np.zeros(counts.shape[:2])
        np.add.at(scatter.T, index, spread.T)
        mass = self.counts.sum(axis=0, dtype=np.float64)[:, :, None]
        means = np.zeros((len(centres), *self.means.shape[1:]))
        np.add.at(means, index, mass * self.means)
        means = over(means, counts.sum(axis=0)[:, :, None])
        sample = dataclasses.replace(
            self.sample, atom=index[self.sample.atom].astype(np.int32)
        )
        return dataclasses.replace(
            self,
            points=centres,
            means=means,
            counts=counts.astype(np.float32),
            scatter=scatter,
            sample=sample,
        )

    def select(self, images: Sequence[int] | np.ndarray) -> Atoms:
        """Return the same atoms with some of the images, each as often as named."""
        chosen = np.asarray(images, np.int64)
        ids = tuple(self.image_ids[i] for i in chosen)
        counts, scatter = self.counts[chosen], self.scatter[chosen]
        sample = self.sample.of_images(chosen)
        return dataclasses.replace(
            self, counts=counts, scatter=scatter, sample=sample, image_ids=ids
        )

    def merge(self, other: Atoms) -> Atoms:
        """Return the atoms of both, side by side; `reduce` makes them fewer.

        Raises:
            ValueError: other features or labels, or an image that is in both.
        """
        for name, a, b in (
            ("features", self.points.shape[1], other.points.shape[1]),
            ("classes", self.num_classes, other.num_classes),
        ):
            if a != b:
                raise ValueError(f"merge: {a} and {b} {name}")
        twice = set(self.image_ids) & set(other.image_ids)
        if twice:
            raise ValueError(
                f"merge: {len(twice)} images are in both, such as {min(twice)!r}"
            )
        corner = len(self.counts), len(self)
        shape = corner[0] + len(other.counts), corner[1] + len(other)
        counts = np.zeros((*shape, self.num_classes), np.float32)
        scatter = np.zeros(shape)
        for whole, first, second in (
            (counts, self.counts, other.counts),
            (scatter, self.scatter, other.scatter),
        ):
            whole[: corner[0], : corner[1]] = first
            whole[corner[0] :, corner[1] :] = second
        points, means = (
            np.concatenate([getattr(self, name), getattr(other, name)])
            for name in ("points", "means")
        )
        theirs = dataclasses.replace(
            other.sample,
            atom=other.sample.atom + np.int32(corner[1]),
            image=other.sample.image + np.int32(corner[0]),
        )
        share = self.pixels / (self.pixels + other.pixels)
        return Atoms(
            points=points,
            means=means,
            counts=counts,
            scatter=scatter,
            sample=mixed(self.sample, theirs, share),
            image_ids=self.image_ids + other.image_ids,
            facts={"merged": [self.facts, other.facts]},
        )

    def save(self, path: str | Path) -> None:
        """Write one `.safetensors` file, atomically."""
        write_arrays(path, *packed(self))

    @classmethod
    def load(cls, path: str | Path) -> Atoms:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: no such file.
            DataError: a file that is damaged or holds something else.
        """
        arrays, metadata = read_arrays(path)
        try:
            return unpacked(arrays, metadata)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                path, f"holds no atoms ({error}); compress again"
            ) from error

    def __str__(self) -> str:
        return (
            f"{self.pixels:,} pixels of {len(self.image_ids)} images as {len(self)} "
            f"atoms of {self.points.shape[1]} features, mean squared distance to an "
            f"atom {float(self.mean_scatter()):.3g}"
        )


def packed(atoms: Atoms) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the arrays and the metadata of a file."""
    arrays = {name: getattr(atoms, name) for name in ARRAYS}
    arrays |= {f"sample/{name}": getattr(atoms.sample, name) for name in NAMES}
    known = {"schema": SCHEMA, "image_ids": atoms.image_ids, "facts": atoms.facts}
    return arrays, {"atoms": known}


def unpacked(arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> Atoms:
    """Return the atoms of arrays and metadata."""
    known = metadata["atoms"]
    if known["schema"] != SCHEMA:
        raise ValueError(f"format {known['schema']}, this is format {SCHEMA}")
    return Atoms(
        **{name: arrays[name] for name in ARRAYS},
        sample=Sample(*(arrays[f"sample/{name}"] for name in NAMES)),
        image_ids=tuple(known["image_ids"]),
        facts=dict(known["facts"]),
    )


def _check(atoms: Atoms) -> None:
    m, images = len(atoms.points), len(atoms.image_ids)
    if atoms.points.ndim != 2 or not atoms.points.size:
        raise ValueError(f"points: shape {atoms.points.shape}, expected (m, d)")
    if atoms.counts.ndim != 3 or atoms.counts.shape[:2] != (images, m):
        raise ValueError(
            f"counts: shape {atoms.counts.shape}, expected ({images}, {m}, classes)"
        )
    if atoms.scatter.shape != (images, m):
        raise ValueError(f"scatter: shape {atoms.scatter.shape}, not ({images}, {m})")
    if atoms.means.shape != (m, atoms.num_classes, atoms.points.shape[1]):
        raise ValueError(f"means: shape {atoms.means.shape} does not fit")
    if atoms.sample.features.shape[1:] != atoms.points.shape[1:]:
        raise ValueError(f"sample: features of shape {atoms.sample.features.shape}")
    for name in ARRAYS:
        if not np.isfinite(getattr(atoms, name)).all():
            raise ValueError(f"{name}: NaN or infinite values")
    if (atoms.counts < 0).any() or (atoms.scatter < 0).any():
        raise ValueError("counts, scatter: negative values")
    if not atoms.counts.any():
        raise ValueError("counts: no pixel has a label that counts")

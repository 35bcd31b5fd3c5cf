"""What every pair of images says of each layer: the tables of CC-FV."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from trfjax.arrays import is_traced, labelled_rows, to_array
from trfjax.scores.images import image_index
from trfjax.typing import IGNORE, ArrayInput, Count

SOFTENING = 1e-3  # added to squared distances between images, as published


@dataclasses.dataclass(frozen=True, eq=False)
class CcfvTables:
    """Layer by layer what every pair of images says."""

    energy: Float[np.ndarray, "l i i"]
    distance: Float[np.ndarray, "l c i i"]  # NaN where one image lacks the class

    def score(
        self,
        multiplicities: Float[np.ndarray, "b i"],
        *,
        variety: Literal["energy", "inverse"] = "energy",
    ) -> Float[np.ndarray, " b"]:
        """Return CC-FV with every image counted so many times; copies are no pairs.

        Raises:
            ValueError: an unknown variety.
        """
        if variety not in ("energy", "inverse"):
            raise ValueError(f"variety: {variety!r} is neither 'energy' nor 'inverse'")
        sign = 1 if variety == "energy" else -1
        return np.array([self._score(row, sign) for row in multiplicities])

    def _score(self, counts: Float[np.ndarray, " i"], sign: int) -> float:
        pairs = np.outer(counts, counts)
        np.fill_diagonal(pairs, 0)
        total = 0.0
        for energy, distance in zip(self.energy, self.distance, strict=True):
            both = np.where(np.isnan(distance), 0, pairs)  # (c, i, i)
            held = both.sum(axis=(1, 2))
            shown = held > 0
            if not (shown.any() and pairs.sum() > 0):
                return float("nan")
            sums = np.sum(both * np.nan_to_num(distance), axis=(1, 2))
            consistency = np.mean(sums[shown] / held[shown])
            apart = np.sum(pairs * energy) / pairs.sum()
            if not (apart > 0 and consistency > 0):  # features that do not vary
                return float("nan")
            total += sign * np.log(apart) - np.log(consistency)
        return float(total)


def ccfv_tables(
    layers: Sequence[ArrayInput],
    labels: ArrayInput,
    *,
    images: ArrayInput | None = None,
    num_classes: Count | None = None,
    ignore: int | Collection[int] = IGNORE,
) -> CcfvTables:
    """Return what every pair of images says; the arguments are those of `ccfv`.

    Scores of resampled images follow from it exactly.
    """
    if not len(layers):
        raise ValueError("layers: none given")
    labels = to_array("labels", labels)
    given = [
        labelled_rows(
            features,
            labels,
            names=(f"layers[{place}]", "labels"),
            num_classes=num_classes,
            ignore=ignore,
        )
        for place, features in enumerate(layers)
    ]
    image = image_index(images, labels.shape)
    if image.max(initial=0) < 1:
        raise ValueError("images: a single image; CC-FV compares images")
    tables = []
    for rows in given:
        if is_traced(rows.features, rows.labels):
            raise ValueError("ccfv: not defined under jit; call it on concrete arrays")
        held = np.asarray(rows.weights) > 0
        values = np.asarray(rows.features, np.float64)[held]
        ids = np.asarray(rows.labels)[held]
        classes, count = rows.num_classes, int(image.max()) + 1
        tables.append(_tables(values, ids, image[held], classes, count))
    energy, distance = zip(*tables, strict=True)
    return CcfvTables(np.stack(energy), np.stack(distance))


def _tables(
    rows: Float[np.ndarray, "n d"],
    labels: Int[np.ndarray, " n"],
    image: Int[np.ndarray, " n"],
    classes: int,
    images: int,
) -> tuple[Float[np.ndarray, "i i"], Float[np.ndarray, "c i i"]]:
    means = np.full((images, rows.shape[1]), np.nan)
    distance = np.full((classes, images, images), np.nan)
    for index in np.unique(image):
        means[index] = rows[image == index].mean(axis=0)
    gaps = np.sum((means[:, None] - means) ** 2, axis=-1)
    for label in np.unique(labels):
        shown = np.unique(image[labels == label])
        fits = [
            _gaussian(rows[(labels == label) & (image == index)]) for index in shown
        ]
        for a, one in enumerate(fits):
            for b in range(a):
                value = _wasserstein(*one, *fits[b])
                distance[label, shown[a], shown[b]] = value
                distance[label, shown[b], shown[a]] = value
    return np.nan_to_num(1 / np.sqrt(gaps + SOFTENING)), distance


def _gaussian(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the symmetric root of the covariance."""
    mean = rows.mean(axis=0)
    centred = rows - mean
    values, vectors = np.linalg.eigh(centred.T @ centred / len(rows))
    return mean, (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def _wasserstein(
    mean: np.ndarray, root: np.ndarray, second_mean: np.ndarray, second_root: np.ndarray
) -> float:
    """Return the 2-Wasserstein distance of two Gaussians."""
    # tr (R S R)^(1/2) is the nuclear norm of the product of the roots.
    crossed = np.linalg.svd(root @ second_root, compute_uv=False).sum()
    spread = np.sum(root**2) + np.sum(second_root**2) - 2 * crossed
    return float(np.sqrt(np.sum((mean - second_mean) ** 2) + max(spread, 0)))

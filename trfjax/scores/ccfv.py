"""CC-FV: classes alike in all images, images unlike each other, layer by layer."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Collection, Sequence
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from trfjax.arrays import is_traced, labelled_rows, to_array
from trfjax.errors import ScoreWarning
from trfjax.promotion import usual_promotion
from trfjax.scores.images import image_index
from trfjax.scores.spec import ScoreSpec, laws, unbounded
from trfjax.statistics.resamples import Resamples
from trfjax.typing import IGNORE, ArrayInput, Count

SOFTENING = 1e-3  # added to squared distances between images, as published


def ccfv(
    layers: Sequence[ArrayInput],
    labels: ArrayInput,
    *,
    images: ArrayInput | None = None,
    num_classes: Count | None = None,
    ignore: int | Collection[int] = IGNORE,
    variety: Literal["energy", "inverse"] = "energy",
) -> Float[Array, ""]:
    r"""CC-FV: feature variety over class consistency, summed over layers as logarithms.

    $$\sum_l \log \frac{\mathrm{FV}_l}{\mathrm{CC}_l}, \qquad
    \mathrm{FV} = \frac{2}{n (n-1)} \sum_{i < j} \frac{1}{\sqrt{\|g_i - g_j\|^2 +
    10^{-3}}}$$

    with the mean features $g_i$ of image i, and CC the mean, over classes and over
    pairs of images that both show the class, of the 2-Wasserstein distance between
    Gaussians fitted to the features of the class in the two images.

    Args:
        layers: features of the target by layer, each `(n, d)` or `(b, h, w, d)`, the
            labels' grid at every layer.
        labels: target ids, `(n,)` or `(b, h, w)`.
        images: id of the image of every instance, or of every map; by default every
            map is an image of its own. Rows of pixels need it.
        num_classes: number of target classes; None re-indexes the ids present.
        ignore: the label, or labels, that count for nothing.
        variety: `"energy"` as published code has it, which is larger where images are
            closer; `"inverse"`, 1 over it, which is larger where they are apart, as
            the name says.

    Returns:
        A number, no unit; larger means more transferable. NaN where no class is in two
        images.

    Raises:
        TypeError, ValueError: arrays that do not fit, labels out of range, fewer than
            two images, nothing left to score; a call under `jit`.

    Warns:
        ScoreWarning: no class is in two images.

    Reference:
        Yang, Wei, Gu, Zheng and others, "Pick the Best Pre-trained Model: Towards
        Transferability Estimation for Medical Image Segmentation", MICCAI 2023,
        Equations 1 to 5. Published code adds a running sum to itself and assumes every
        class in every image; here means are over the pairs there are.
    """
    tables = ccfv_tables(
        layers, labels, images=images, num_classes=num_classes, ignore=ignore
    )
    value = tables.score(np.ones((1, len(tables.energy[0]))), variety=variety)[0]
    if np.isnan(value):
        warnings.warn(
            "ccfv: no class is in two images, or features do not vary between images, "
            "so nothing can be compared",
            ScoreWarning,
            stacklevel=2,
        )
    return jnp.asarray(value)


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
    image = image_index(images, labels.shape)
    if image.max(initial=0) < 1:
        raise ValueError("images: a single image; CC-FV compares images")
    tables = []
    for place, features in enumerate(layers):
        rows = labelled_rows(
            (f"layers[{place}]", "labels"),
            features,
            labels,
            num_classes=num_classes,
            ignore=ignore,
        )
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


@dataclasses.dataclass(frozen=True, eq=False)
class _Compared:
    score: float
    tables: CcfvTables


@usual_promotion
def _of_one_layer(
    features: ArrayInput, images: ArrayInput, labels: ArrayInput, **settings: Any
) -> _Compared:
    tables = ccfv_tables([features], labels, images=images, **settings)
    return _Compared(tables.score(np.ones((1, len(tables.energy[0]))))[0], tables)


def _resampled(
    result: _Compared,
    *,
    labels: np.ndarray,
    images: Int[np.ndarray, " n"],
    resamples: Resamples,
    seed: int,
) -> Float[np.ndarray, " b"]:
    """Return CC-FV of every resample of the images; exact."""
    del labels, seed
    rows = resamples.rows.astype(np.float64)
    return result.tables.score(rows[:, np.unique(images)])


SPEC = ScoreSpec(
    name="ccfv",
    function=_of_one_layer,
    inputs=("target_features", "target_images"),
    title="CC-FV",
    unit="",
    bounds=unbounded,
    laws=laws("duplicates", "rotation", "shift"),
    resampled=_resampled,
    smooth=False,  # pairs of an image with itself are left out
    weighted=False,
    transforms=False,
    differentiable=False,
    rtol=1e-4,
)

"""Nearest neighbours in other images, by their votes for a class."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Collection
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from trfjax.arrays import is_traced, labelled_rows, to_array
from trfjax.errors import ScoreWarning
from trfjax.numbers import as_count
from trfjax.promotion import usual_promotion
from trfjax.scores.classwise import dot
from trfjax.scores.images import (
    Judged,
    Measure,
    Tally,
    check_measure,
    image_index,
    resampled_tally,
    tally_of,
)
from trfjax.scores.spec import (
    Explained,
    ScoreSpec,
    laws,
)
from trfjax.scores.thinning import check_limit, thinned
from trfjax.scores.whitening import factor_of
from trfjax.typing import IGNORE, ArrayInput, Count, Features, Labels, Weights

BLOCK = 512  # instances whose distances to all others are held at a time


def knn(
    features: ArrayInput,
    labels: ArrayInput,
    *,
    images: ArrayInput | None = None,
    num_classes: Count | None = None,
    weights: ArrayInput | None = None,
    ignore: int | Collection[int] = IGNORE,
    neighbours: int = 5,
    cosine: bool = False,
    measure: Measure = "accuracy",
    num_samples: int = 5_000,
) -> Float[Array, ""]:
    r"""Accuracy of the vote of the nearest neighbours in other images.

    $$\frac1n \sum_i \Bigl[ y_i = \arg\max_c \sum_{j \in N_k(i)} [y_j = c] \Bigr]$$

    with $N_k(i)$ the k instances nearest to i that are not in the image of i. Between
    classes with as many votes the ranks of the voters decide, nearest first, which
    does not depend on how the classes are called.

    Args:
        features: `(n, d)` or `(b, h, w, d)` features of the target instances.
        labels: target ids, `(n,)` or `(b, h, w)`.
        images: id of the image of every instance, or of every map; by default every
            map, or every row, is an image of its own.
        num_classes: number of target classes; None re-indexes the ids present.
        weights: multiplicity of every instance, as voter and as judged.
        ignore: the label, or labels, that count for nothing.
        neighbours: k, votes at most.
        cosine: compare directions; squared Euclidean distance otherwise.
        measure: `"accuracy"`, the share of all instances; `"balanced"`, the mean over
            classes of their shares; or `"miou"`.
        num_samples: instances looked at, evenly spaced in their order; every pair of
            them has a distance.

    Returns:
        A number in `[0, 1]`; larger means more transferable. NaN where no instance has
        a neighbour in another image.

    Raises:
        TypeError, ValueError: arrays that do not fit, labels out of range, a setting
            out of range, nothing left to score; a call under `jit`.

    Warns:
        ScoreWarning: nothing could be judged.

    Reference:
        Cover and Hart, "Nearest Neighbor Pattern Classification", IEEE Transactions on
        Information Theory 13, 1967. As a transfer score: Puigcerver et al., "Scalable
        Transfer Learning with Expert Models", ICLR 2021.
    """
    check_measure(measure)
    if measure == "log_likelihood":
        raise ValueError("measure: 'log_likelihood' is not defined for votes")
    tally = knn_tally(
        features,
        labels,
        images=images,
        num_classes=num_classes,
        weights=weights,
        ignore=ignore,
        neighbours=neighbours,
        cosine=cosine,
        num_samples=num_samples,
    )
    value = tally.score(np.ones((1, len(tally.given))), measure)[0]
    if np.isnan(value):
        warnings.warn(
            "knn: nothing could be judged, since no instance has a neighbour in "
            "another image; label more images",
            ScoreWarning,
            stacklevel=2,
        )
    return jnp.asarray(value)


def knn_tally(
    features: ArrayInput,
    labels: ArrayInput,
    *,
    images: ArrayInput | None = None,
    num_classes: Count | None = None,
    weights: ArrayInput | None = None,
    ignore: int | Collection[int] = IGNORE,
    neighbours: int = 5,
    cosine: bool = False,
    num_samples: int = 5_000,
) -> Tally:
    """Return what was judged and hit, by image and class.

    Scores of resampled images follow from it: the votes stay, the judged images are
    counted as often as they occur. The arguments are those of `knn`.
    """
    as_count("neighbours", neighbours)
    check_limit(num_samples)
    labels = to_array("labels", labels)
    rows = labelled_rows(
        features, labels, num_classes=num_classes, weights=weights, ignore=ignore
    )
    if is_traced(rows.features, rows.labels, rows.weights):
        raise ValueError(
            "knn: not defined under jit, since which pairs count depends on the values "
            "of `images`; call it on concrete arrays"
        )
    image = image_index(images, labels.shape)
    total = int(image.max()) + 1
    rows, index = thinned(rows, num_samples)
    image = image[index]
    predictions, judged = neighbour_votes(
        rows.features,
        rows.labels,
        rows.weights,
        jnp.asarray(image),
        neighbours=min(neighbours, len(image)),
        num_classes=rows.num_classes,
        cosine=cosine,
    )
    weights = np.where(np.asarray(judged), np.asarray(rows.weights, np.float64), 0)
    return tally_of(
        image,
        np.asarray(rows.labels),
        np.asarray(predictions),
        weights,
        shape=(total, rows.num_classes),
    )


@functools.partial(jax.jit, static_argnames=("neighbours", "num_classes", "cosine"))
def neighbour_votes(
    features: Features,
    labels: Labels,
    weights: Weights,
    image: Int[Array, " n"],
    *,
    neighbours: int,
    num_classes: int,
    cosine: bool,
) -> tuple[Int[Array, " n"], Array]:
    """Return the class that the neighbours vote for, and whether there are any."""
    share = weights / weights.sum()
    # Neighbours do not change with the scale; squares leave the range.
    factor = factor_of(features, by_column=False)
    if cosine:  # nor with that of a row
        factor = factor_of(features.T, by_column=True).T
    features = features * factor
    rows = features - dot(share, features) if not cosine else features
    squares = jnp.sum(jnp.square(rows), axis=1)
    if cosine:
        rows = rows / jnp.sqrt(jnp.where(squares > 0, squares, 1))[:, None]
        squares = jnp.ones_like(squares)
    # A vote is 1; less than 1 in all is added by rank, for classes with equal votes.
    rank = 0.5 ** (2.0 + jnp.arange(neighbours, dtype=features.dtype))

    def vote(parts: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        row, square, place = parts
        distance = squares + square - 2 * dot(rows, row)
        valid = (image != place) & (weights > 0)
        closest, nearest = lax.top_k(jnp.where(valid, -distance, -jnp.inf), neighbours)
        held = jnp.where(closest > -jnp.inf, weights[nearest], 0)
        votes = jnp.clip(neighbours - (jnp.cumsum(held) - held), 0, held)
        votes = votes + jnp.where(votes > 0, rank, 0)
        counts = jnp.zeros(num_classes, votes.dtype).at[labels[nearest]].add(votes)
        return jnp.argmax(counts), held.sum() > 0

    return lax.map(vote, (rows, squares, image), batch_size=BLOCK)


@usual_promotion
def _judged(
    features: ArrayInput, images: ArrayInput, labels: ArrayInput, **settings: Any
) -> Judged:
    tally = knn_tally(features, labels, images=images, **settings)
    score = tally.score(np.ones((1, len(tally.given))), "accuracy")[0]
    return Judged(score, tally, "accuracy")


SPEC = ScoreSpec(
    name="knn",
    function=_judged,
    inputs=("target_features", "target_images"),
    title="k-nearest neighbours",
    unit="accuracy",
    bounds=lambda labels, arrays: (0.0, 1.0),
    floor=lambda share: float(np.max(share)),
    limits=lambda share: (0.0, 1.0),
    explained=Explained(
        share=lambda score, share: (score - np.max(share)) / (1 - np.max(share)),
        of="what the largest class leaves open",
    ),
    laws=laws("rotation", "shift", "scale", "zero_feature"),
    resampled=resampled_tally,
    smooth=False,  # shares of counted instances, by class
    transforms=False,
    differentiable=False,
)

"""Which image every instance is from, and what a judgement adds up to by image."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, TypeAlias

import numpy as np
from jaxtyping import Float, Int

from trfjax.arrays import as_labels
from trfjax.statistics.resamples import Resamples
from trfjax.typing import ArrayInput

Measure: TypeAlias = Literal["balanced", "accuracy", "miou", "log_likelihood"]
MEASURES: tuple[Measure, ...] = ("balanced", "accuracy", "miou", "log_likelihood")


def image_index(
    images: ArrayInput | None, shape: tuple[int, ...]
) -> Int[np.ndarray, " n"]:
    """Return the index of the image of every instance, in the order of their ids.

    Args:
        images: an id for every instance, or one for every map; None: every map of
            `(b, h, w)` labels, or every row of `(n,)`, is an image of its own.
        shape: of the labels.

    Raises:
        TypeError, ValueError: ids that are no integers or do not fit.
    """
    if images is None:
        ids = np.arange(shape[0])
    else:
        ids = np.asarray(as_labels("images", images))
    if ids.shape == shape[:1]:
        ids = np.broadcast_to(ids.reshape(-1, *(1 for _ in shape[1:])), shape)
    if ids.shape != shape:
        raise ValueError(
            f"images: shape {ids.shape} does not fit labels of shape {shape}; expected "
            f"an id for every instance, or {shape[:1]}"
        )
    return np.unique(ids.reshape(-1), return_inverse=True)[1].reshape(-1)


@dataclasses.dataclass(frozen=True, eq=False)
class Tally:
    """Judged instances by image and class, as sums of their weights."""

    given: Float[np.ndarray, "i c"]  # of the class
    predicted: Float[np.ndarray, "i c"]  # taken for the class
    hits: Float[np.ndarray, "i c"]  # both
    log_likelihood: Float[np.ndarray, "i c"]  # summed over those of the class

    def score(
        self, multiplicities: Float[np.ndarray, "b i"], measure: Measure = "balanced"
    ) -> Float[np.ndarray, " b"]:
        r"""Return the measure with every image counted so many times.

        `"balanced"` is the mean over classes of the share of their instances that are
        hit, `"accuracy"` the share of all, `"miou"` the mean over classes of hits over
        given or predicted, `"log_likelihood"` the mean, in nats. Classes that nothing
        was judged of count for nothing; NaN without any.

        Raises:
            ValueError: an unknown measure.
        """
        check_measure(measure)
        many = np.asarray(multiplicities, np.float64)
        given, hits = many @ self.given, many @ self.hits
        if measure == "accuracy":
            return _ratio(hits.sum(axis=1), given.sum(axis=1))
        if measure == "log_likelihood":
            return _ratio((many @ self.log_likelihood).sum(axis=1), given.sum(axis=1))
        union = given
        if measure == "miou":
            union = given + many @ self.predicted - hits
        shares = np.where(given > 0, _ratio(hits, np.where(given > 0, union, 1)), 0)
        return _ratio(shares.sum(axis=1), (given > 0).sum(axis=1))


def check_measure(measure: str) -> None:
    """Refuse an unknown measure.

    Raises:
        ValueError: it is none of `MEASURES`.
    """
    if measure not in MEASURES:
        raise ValueError(f"measure: {measure!r} is none of {', '.join(MEASURES)}")


def _ratio(value: np.ndarray, by: np.ndarray) -> np.ndarray:
    return np.where(by > 0, value / np.where(by > 0, by, 1), np.nan)


def tally_of(
    image: Int[np.ndarray, " n"],
    labels: Int[np.ndarray, " n"],
    predictions: Int[np.ndarray, " n"],
    weights: Float[np.ndarray, " n"],
    log_likelihood: Float[np.ndarray, " n"] | None = None,
    *,
    shape: tuple[int, int],
) -> Tally:
    """Return the sums of judged instances; weight 0 counts for nothing.

    Args:
        image: index of the image of every instance.
        labels: class of every instance.
        predictions: class it was taken for.
        weights: multiplicity of every instance.
        log_likelihood: of its class; 0 where the judge knows no likelihood.
        shape: images and classes.
    """

    def by_class(classes: np.ndarray, amounts: np.ndarray) -> np.ndarray:
        cells = image * shape[1] + classes
        sums = np.bincount(cells, amounts, shape[0] * shape[1])
        return sums.reshape(shape).astype(np.float64)  # int where there is no row

    likely = 0 * weights if log_likelihood is None else log_likelihood * weights
    return Tally(
        given=by_class(labels, weights),
        predicted=by_class(predictions, weights),
        hits=by_class(labels, weights * (labels == predictions)),
        log_likelihood=by_class(labels, likely),
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Judged:
    """A score that is a measure of judged instances."""

    score: Any
    tally: Tally
    measure: Measure


def resampled_tally(
    result: Judged,
    *,
    labels: np.ndarray,
    images: Int[np.ndarray, " n"],
    resamples: Resamples,
    seed: int,
) -> Float[np.ndarray, " b"]:
    """Return the measure of every resample of the images, with what was fitted kept.

    Args:
        result: of the instances of all images.
        labels: of the instances; the tally knows them.
        images: index of the image of every instance.
        resamples: of the images.
        seed: not used, nothing is drawn.
    """
    del labels, seed
    return result.tally.score(resamples.rows[:, np.unique(images)], result.measure)

"""Linear probes by fold: what they were given and hit, by image and class."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from trfjax.arrays import Rows, is_traced, labelled_rows, to_array
from trfjax.numbers import as_count, as_real
from trfjax.scores.images import (
    Tally,
    image_index,
    tally_of,
)
from trfjax.scores.ridge import (
    Ridge,
    RidgeSums,
    all_but_one,
    fit_ridge,
    ridge_sums,
)
from trfjax.typing import IGNORE, ArrayInput, Count


def probe_tally(
    features: ArrayInput,
    labels: ArrayInput,
    *,
    images: ArrayInput | None = None,
    num_classes: Count | None = None,
    weights: ArrayInput | None = None,
    ignore: int | Collection[int] = IGNORE,
    folds: int = 5,
    penalty: float = 1e-2,
    fit: Literal["instances", "classes"] = "instances",
) -> Tally:
    """Return what the probe was given and hit, by image and class.

    Scores of resampled images follow from it: the fits stay, the judged images are
    counted as often as they occur. The arguments are those of `linear_probe`.
    """
    as_count("folds", folds, least=2)  # of one, no image would be unseen
    as_real("penalty", penalty, above=0)
    if fit not in ("instances", "classes"):
        raise ValueError(f"fit: {fit!r} is neither 'instances' nor 'classes'")
    labels = to_array("labels", labels)
    rows = labelled_rows(
        features, labels, num_classes=num_classes, weights=weights, ignore=ignore
    )
    if is_traced(rows.features, rows.labels, rows.weights):
        raise ValueError(
            "linear_probe: not defined under jit, since which images are left out "
            "depends on the values of `images`; call it on concrete arrays"
        )
    image = image_index(images, labels.shape)
    parts = _deal(rows, image, folds, by_class=fit == "classes")
    judged = [
        _judge(part, fit_ridge(sums, penalty))
        for part, sums in zip(parts, all_but_one([p.sums for p in parts]), strict=True)
    ]
    columns = [np.concatenate(column) for column in zip(*judged, strict=True)]
    return tally_of(*columns, shape=(int(image.max()) + 1, rows.num_classes))


class _Part(NamedTuple):
    """The instances of one fold, float64, and their sums."""

    features: Float[np.ndarray, "m d"]
    labels: Int[np.ndarray, " m"]
    weights: Float[np.ndarray, " m"]
    image: Int[np.ndarray, " m"]
    sums: RidgeSums


def _deal(
    rows: Rows, image: Int[np.ndarray, " n"], folds: int, *, by_class: bool
) -> list[_Part]:
    """Return the folds that hold an instance."""
    features, labels = np.asarray(rows.features), np.asarray(rows.labels)
    weights = np.asarray(rows.weights, np.float64)
    # The order of the images that count, so that others leave the folds as they are.
    order = np.unique(image[weights > 0], return_inverse=True)[1]
    fold = np.full(len(image), -1)
    fold[weights > 0] = order % folds
    mean = weights @ features / weights.sum()
    parts = []
    for index in range(min(folds, int(order.max()) + 1)):
        inside = fold == index
        centred = features[inside] - mean
        sums = ridge_sums(
            centred,
            labels[inside],
            weights[inside],
            rows.num_classes,
            by_class=by_class,
        )
        parts.append(
            _Part(centred, labels[inside], weights[inside], image[inside], sums)
        )
    return parts


def _judge(part: _Part, probe: Ridge) -> tuple[np.ndarray, ...]:
    """Return the columns of a tally: what was given, found, and how likely it was."""
    judged = probe.known[part.labels]
    labels = part.labels[judged]
    fitted = part.features[judged] @ probe.weight + probe.bias
    fitted = np.where(probe.known, fitted, -np.inf)
    scores = fitted / probe.spread
    top = scores.max(axis=1, initial=-np.inf, keepdims=True)
    likely = scores - top - np.log(np.exp(scores - top).sum(axis=1, keepdims=True))
    return (
        part.image[judged],
        labels,
        fitted.argmax(axis=1),
        part.weights[judged],
        likely[np.arange(len(labels)), labels],
    )

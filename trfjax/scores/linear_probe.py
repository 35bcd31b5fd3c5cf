"""A linear probe judged on images it has not seen, class by class."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from trfjax.arrays import Rows, is_traced, labelled_rows, to_array
from trfjax.errors import ScoreWarning
from trfjax.promotion import usual_promotion
from trfjax.scores.images import (
    Judged,
    Measure,
    Tally,
    check_measure,
    image_index,
    resampled_tally,
    tally_of,
)
from trfjax.scores.ridge import (
    Ridge,
    RidgeSums,
    all_but_one,
    fit_ridge,
    ridge_sums,
)
from trfjax.scores.spec import (
    Explained,
    ScoreSpec,
    laws,
)
from trfjax.typing import IGNORE, ArrayInput, Count


def linear_probe(
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
    measure: Measure = "balanced",
) -> Float[Array, ""]:
    r"""Balanced accuracy of a ridge regression of the labels on unseen images.

    The images are dealt into folds. For each fold, on the other images, with features
    $x$ standardised there and centred one-hot labels $y$,

    $$W = (\overline{x x^\top} + \lambda I)^{-1}\, \overline{x y^\top}, \qquad
    \hat c(x) = \arg\max_c\, (W^\top x + \bar y)_c$$

    and the score is the mean over classes of the share of their left-out instances
    for which $\hat c$ is right. The sums are taken once, by fold, and a fold is left
    out by subtraction, exactly. An instance of a class that the other images do not
    show is not judged.

    Args:
        features: `(n, d)` or `(b, h, w, d)` features of the target instances.
        labels: target ids, `(n,)` or `(b, h, w)`.
        images: id of the image of every instance, or of every map; by default every
            map, or every row, is an image of its own. Pixels of one image are never
            on both sides.
        num_classes: number of target classes; None re-indexes the ids present.
        weights: multiplicity of every instance; uniform by default.
        ignore: the label, or labels, that count for nothing.
        folds: number of folds, at most one for every image; the i-th image, in the
            order of ids, is in fold `i % folds`.
        penalty: $\lambda$, in units of the variance of a feature.
        fit: `"instances"` weighs all instances alike; `"classes"` all classes. The
            second ranked worse on pools that it was not chosen on.
        measure: `"balanced"`; `"accuracy"`, the share of all instances; `"miou"`; or
            `"log_likelihood"` in nats, of residuals taken as normal:
            $p(c | x) \propto \exp(\hat y_c / \sigma^2)$ with their variance
            $\sigma^2$ in the fit.

    Returns:
        A number in `[0, 1]` (`"log_likelihood"`: at most 0), larger means more
        transferable. Features that say nothing about the labels reach 1 over the
        number of classes. NaN where nothing can be judged.

    Raises:
        TypeError, ValueError: arrays that do not fit, labels out of range, a setting
            out of range, nothing left to score; a call under `jit`.

    Warns:
        ScoreWarning: a single class, or nothing that could be judged.

    Reference:
        Ridge regression: Hoerl and Kennard, Technometrics 12, 1970. As a measure of
        features: Alain and Bengio, "Understanding intermediate layers using linear
        classifier probes", 2016.
    """
    check_measure(measure)
    tally = probe_tally(
        features,
        labels,
        images=images,
        num_classes=num_classes,
        weights=weights,
        ignore=ignore,
        folds=folds,
        penalty=penalty,
        fit=fit,
    )
    value = tally.score(np.ones((1, len(tally.given))), measure)[0]
    if np.isnan(value):
        warnings.warn(
            "linear_probe: nothing could be judged, since no class is in two images "
            "of different folds; label more images",
            ScoreWarning,
            stacklevel=2,
        )
    elif (tally.given.sum(axis=0) > 0).sum() == 1:
        warnings.warn(
            "linear_probe: a single class was judged, so the value says nothing about "
            "transfer",
            ScoreWarning,
            stacklevel=2,
        )
    return jnp.asarray(value)


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
    if not folds >= 2:
        raise ValueError(f"folds: {folds} is less than 2, so no image would be unseen")
    if not penalty > 0:
        raise ValueError(f"penalty: {penalty} is not positive")
    if fit not in ("instances", "classes"):
        raise ValueError(f"fit: {fit!r} is neither 'instances' nor 'classes'")
    labels = to_array("labels", labels)
    rows = labelled_rows(
        ("features", "labels"),
        features,
        labels,
        num_classes=num_classes,
        weights=weights,
        ignore=ignore,
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


@usual_promotion
def _judged(
    features: ArrayInput, images: ArrayInput, labels: ArrayInput, **settings: Any
) -> Judged:
    tally = probe_tally(features, labels, images=images, **settings)
    score = tally.score(np.ones((1, len(tally.given))), "balanced")[0]
    return Judged(score, tally, "balanced")


def _chance(share: Float[np.ndarray, " c"]) -> float:
    return 1 / float(np.sum(share > 0))


SPEC = ScoreSpec(
    name="linear_probe",
    function=_judged,
    inputs=("target_features", "target_images"),
    title="Linear probe",
    unit="balanced accuracy",
    bounds=lambda labels, arrays: (0.0, 1.0),
    floor=_chance,
    limits=lambda share: (0.0, 1.0),
    explained=Explained(
        share=lambda score, share: (score - _chance(share)) / (1 - _chance(share)),
        of="what chance leaves open",
    ),
    laws=laws("duplicates", "shift", "scale", "zero_feature"),
    resampled=resampled_tally,
    smooth=False,  # shares of counted instances, by class
    transforms=False,
    differentiable=False,
)

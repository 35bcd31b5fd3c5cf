"""A linear probe judged on images it has not seen, class by class."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from trfjax.errors import ScoreWarning
from trfjax.promotion import usual_promotion
from trfjax.scores.images import (
    Judged,
    Measure,
    check_measure,
    resampled_tally,
)
from trfjax.scores.probe import probe_tally
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

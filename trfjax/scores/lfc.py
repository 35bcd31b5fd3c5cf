"""Label-feature correlation: do instances of one class have features that align?"""

from __future__ import annotations

import functools
from collections.abc import Collection
from typing import Literal

import jax
import numpy as np
from jaxtyping import Array, Float

from trfjax.arrays import labelled_rows
from trfjax.atoms.moments import Moments
from trfjax.promotion import usual_promotion
from trfjax.scores.alignment import (
    AlignmentSums,
    alignment_sums,
    feature_label_cosine,
)
from trfjax.scores.spec import OfSums, ScoreSpec, laws
from trfjax.scores.whitening import factor_of
from trfjax.typing import IGNORE, ArrayInput, Count, Features, Labels, Weights


@usual_promotion
def lfc(
    features: ArrayInput,
    labels: ArrayInput,
    *,
    num_classes: Count | None = None,
    weights: ArrayInput | None = None,
    ignore: int | Collection[int] = IGNORE,
    centring: Literal["mean", "double"] = "mean",
) -> Float[Array, ""]:
    r"""LFC: cosine between the Gram matrices of features and labels.

    $$\frac{\langle K - \bar K, Y - \bar Y \rangle}{\|K - \bar K\| \, \|Y - \bar Y\|},
    \qquad K_{ij} = f_i \cdot f_j, \quad Y_{ij} = 2\,[y_i = y_j] - 1$$

    with the mean over all pairs taken off. It costs $O(n d^2)$, from the sums of
    features by class and of their products; no matrix of pairs is made.

    Args:
        features: `(n, d)` or `(b, h, w, d)` features of the target instances.
        labels: target ids, `(n,)` or `(b, h, w)`.
        num_classes: number of target classes; None re-indexes the ids present.
        weights: multiplicity of every instance; uniform by default.
        ignore: the label, or labels, that count for nothing.
        centring: `"mean"` as published; `"double"` takes off the means of rows and
            columns, which makes it centred kernel alignment, and a shift of the
            features without effect.

    Returns:
        A number in `[-1, 1]`, no unit; larger means more transferable. NaN for a
        single class, and for features that do not vary.

    Raises:
        TypeError, ValueError: arrays that do not fit, labels out of range, an unknown
            setting, nothing left to score.

    Reference:
        Deshpande, Achille, Ravichandran, Li, Zancato, Fowlkes, Bhotika, Soatto and
        Perona, "A Linearized Framework and a New Benchmark for Model Selection for
        Fine-Tuning", 2021, Section 3.
    """
    if centring not in ("mean", "double"):
        raise ValueError(f"centring: {centring!r} is neither 'mean' nor 'double'")
    rows = labelled_rows(
        features, labels, num_classes=num_classes, weights=weights, ignore=ignore
    )
    return lfc_core(
        rows.features,
        rows.labels,
        rows.weights,
        num_classes=rows.num_classes,
        centring=centring,
    )


@functools.partial(jax.jit, static_argnames=("num_classes", "centring"))
def lfc_core(
    features: Features,
    labels: Labels,
    weights: Weights,
    *,
    num_classes: int,
    centring: str = "mean",
) -> Float[Array, ""]:
    """Return LFC of indexed labels; rows of weight 0 count for nothing."""
    # The cosine does not change with the scale; its fourth powers leave the range.
    features = features * factor_of(features, by_column=False)
    sums = alignment_sums(features, labels, weights, num_classes)
    return feature_label_cosine(sums, double=centring == "double")


def lfc_of_moments(
    moments: Moments, multiplicities: Float[np.ndarray, "b i"]
) -> Float[np.ndarray, " b"]:
    """LFC of all pixels of every resample, in float64; see `lfc`.

    Args:
        moments: of the features of the target pixels, by image.
        multiplicities: how often every image counts in a resample.

    Returns:
        NaN for a resample without a pixel, or with one class.
    """
    return np.array(
        [_of(*part) for part in zip(*moments.pooled(multiplicities), strict=True)]
    )


def _of(counts: np.ndarray, sums: np.ndarray, products: np.ndarray) -> float:
    total = counts.sum()
    if not (counts > 0).sum() > 1:
        return float("nan")
    mean = sums.sum(axis=0) / total
    centred = sums - counts[:, None] * mean
    scatter = products - total * np.outer(mean, mean)
    found = AlignmentSums(mean, counts, centred, scatter)
    return float(feature_label_cosine(found, double=False, xp=np))


SPEC = ScoreSpec(
    name="lfc",
    function=lfc,
    inputs=("target_features",),
    title="LFC",
    unit="",
    bounds=lambda labels, arrays: (-1.0, 1.0),
    floor=lambda share: 0.0,
    laws=laws("duplicates", "rotation", "scale", "zero_feature"),
    of_sums=OfSums(tables=("target_moments",), replicates=lfc_of_moments),
)

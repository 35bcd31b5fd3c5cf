"""Kite: alignment of the features with labels, over that with random features."""

from __future__ import annotations

import functools
from collections.abc import Collection

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from trfjax.arrays import labelled_rows
from trfjax.scores.alignment import alignment_sums, feature_label_cosine
from trfjax.scores.classwise import by_class, dot, scatter
from trfjax.typing import IGNORE, ArrayInput, Count, Features, Labels, Weights


def kite(
    features: ArrayInput,
    random_features: ArrayInput,
    labels: ArrayInput,
    *,
    num_classes: Count | None = None,
    weights: ArrayInput | None = None,
    ignore: int | Collection[int] = IGNORE,
) -> Float[Array, ""]:
    r"""Kite: how much more like the labels the features are than like an untrained net.

    $$\frac{\operatorname{CKA}(K, K_Y)}{\operatorname{CKA}(K, K_r)}, \qquad
    \operatorname{CKA}(K, L) = \frac{\langle HKH, HLH \rangle}{\|HKH\| \, \|HLH\|}$$

    with linear kernels of the features, of the one-hot labels, and of the features of
    the same network with random weights, and H the centring matrix. From sums of
    products of features; no matrix of pairs is made.

    Args:
        features: `(n, d)` or `(b, h, w, d)` features of the target instances.
        random_features: of the same instances, by the same architecture with random
            weights; any number of columns.
        labels: target ids, `(n,)` or `(b, h, w)`.
        num_classes: number of target classes; None re-indexes the ids present.
        weights: multiplicity of every instance; uniform by default.
        ignore: the label, or labels, that count for nothing.

    Returns:
        A number of at least 0, no unit; larger means more transferable. NaN where one
        of the alignments is not defined, or the second is 0: a single class, features
        that do not vary.

    Raises:
        TypeError, ValueError: arrays that do not fit, labels out of range, nothing
            left to score.

    Reference:
        Guo, "KITE: A Kernel-based Improved Transferability Estimation Method",
        arXiv:2405.01603, 2024.
    """
    rows = labelled_rows(
        features, labels, num_classes=num_classes, weights=weights, ignore=ignore
    )
    untrained = labelled_rows(
        random_features,
        labels,
        names=("random_features", "labels"),
        num_classes=num_classes,
        weights=weights,
        ignore=ignore,
    )
    return kite_core(
        rows.features,
        untrained.features,
        rows.labels,
        rows.weights,
        num_classes=rows.num_classes,
    )


@functools.partial(jax.jit, static_argnames="num_classes")
def kite_core(
    features: Features,
    random_features: Float[Array, "n e"],
    labels: Labels,
    weights: Weights,
    *,
    num_classes: int,
) -> Float[Array, ""]:
    """Return Kite of indexed labels; rows of weight 0 count for nothing."""
    sums = alignment_sums(features, labels, weights, num_classes)
    with_labels = feature_label_cosine(sums, double=True)
    centred = by_class(features, labels, weights, num_classes).centred
    random = by_class(random_features, labels, weights, num_classes).centred
    crossed = jnp.sum(jnp.square(dot((weights[:, None] * centred).T, random)))
    lengths = jnp.sum(jnp.square(sums.products))
    lengths *= jnp.sum(jnp.square(scatter(random, weights)))
    with_random = crossed / jnp.sqrt(lengths)
    return with_labels / jnp.where(with_random > 0, with_random, jnp.nan)

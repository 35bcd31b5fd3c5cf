"""Alignment of the Gram matrix of features with that of labels, from sums."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Float

from trfjax.scores.classwise import by_class, dot, scatter
from trfjax.typing import AnyArray, Features, Labels, Weights


class AlignmentSums(NamedTuple):
    """Sums that two centred Gram matrices and their product are made of."""

    mean: Float[AnyArray, " d"]
    counts: Float[AnyArray, " c"]
    sums: Float[AnyArray, "c d"]  # of the features less their mean, by class
    products: Float[AnyArray, "d d"]  # of the features less their mean


def alignment_sums(
    features: Features, labels: Labels, weights: Weights, num_classes: int
) -> AlignmentSums:
    """Return the sums over labelled instances."""
    found = by_class(features, labels, weights, num_classes)
    sums = found.counts[:, None] * found.means
    products = scatter(found.centred, weights)
    return AlignmentSums(
        dot(weights / found.total, features), found.counts, sums, products
    )


def feature_label_cosine(sums: AlignmentSums, *, double: bool, xp: Any = jnp) -> Any:
    r"""Return the cosine between both Gram matrices, each centred.

    With $f = m + g$, $\sum g = 0$, the Gram matrix less its mean has the entries
    $g_i \cdot g_j + m \cdot g_i + m \cdot g_j$, of which the three parts are
    orthogonal: its squared norm is $\|P\|^2 + 2 n\, m^\top P m$, $P = \sum g g^\top$.
    Its product with the label matrix $2 [y_i = y_j] - 1$ is $2 \sum_c (|T_c|^2 +
    2 n_c m \cdot T_c)$, $T_c$ the sum of g over class c. Nothing cancels. Centring
    rows and columns too leaves the parts without m.
    """
    mean, counts, sums_by_class, products = sums
    n, pairs = counts.sum(), xp.sum(counts**2)
    product = 2 * xp.sum(sums_by_class**2)
    squared = xp.sum(products**2)
    if double:
        # |H Z H|^2 of the memberships: the centred class covariance.
        labels = 4 * (pairs - 2 * xp.sum(counts**3) / n + pairs**2 / n**2)
    else:
        along = sums_by_class @ mean
        product = product + 4 * xp.sum(counts * along)
        squared = squared + 2 * n * (mean @ products @ mean)
        labels = 4 * (pairs - pairs**2 / n**2)
    lengths = squared * labels
    defined = (xp.sum(counts > 0) > 1) & (lengths > 0)
    return xp.where(defined, product / xp.sqrt(xp.where(defined, lengths, 1)), xp.nan)

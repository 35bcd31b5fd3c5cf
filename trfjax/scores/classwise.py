"""Counts, means and scatter by class: what second-moment scores share."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array, Float

from trfjax.arrays import safe_divide
from trfjax.typing import Features, Labels, Weights


class ByClass(NamedTuple):
    """Centred features and what they are class by class; an absent class is 0."""

    centred: Float[Array, "n d"]  # by the mean of all instances
    member: Float[Array, "n c"]  # one-hot
    counts: Float[Array, " c"]  # sums of weights
    means: Float[Array, "c d"]  # of the centred features
    total: Float[Array, ""]

    @property
    def prior(self) -> Float[Array, " c"]:
        """The share of every class."""
        return self.counts / self.total

    @property
    def present(self) -> Float[Array, " c"]:
        """1 for a class with an instance, 0 for the others."""
        return (self.counts > 0).astype(self.counts.dtype)


def by_class(
    features: Features, labels: Labels, weights: Weights, num_classes: int
) -> ByClass:
    """Return centred features, memberships, counts and class means."""
    member = jax.nn.one_hot(labels, num_classes, dtype=features.dtype)
    total = weights.sum()
    centred = centre(features, weights / total)
    counts = dot(weights, member)
    sums = dot((weights[:, None] * member).T, centred)
    return ByClass(centred, member, counts, safe_divide(sums, counts[:, None]), total)


def centre(rows: Float[Array, "n d"], share: Weights) -> Float[Array, "n d"]:
    """Return the rows less their mean.

    A constant column is 0, not rounding that a whitening would enlarge.
    """
    mean = dot(share, rows)
    centred = rows - mean
    centred = centred - dot(share, centred)  # what rounding left of a large mean
    noise = jnp.abs(centred) <= 4 * jnp.finfo(rows.dtype).eps * jnp.abs(mean)
    return centred - stop_gradient(jnp.where(noise, centred, 0))


def scatter(rows: Float[Array, "n d"], weights: Weights) -> Float[Array, "d d"]:
    """Return the weighted sum of outer products of the rows with themselves."""
    half = jnp.sqrt(weights)[:, None] * rows
    return dot(half.T, half)


def dot(a: Array, b: Array) -> Array:
    """Return the product in full precision, also where the device has a faster one."""
    return jnp.matmul(a, b, precision="highest")

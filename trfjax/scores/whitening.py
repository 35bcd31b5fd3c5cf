"""What both H-scores share: centred features and labels, and their decomposition."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient
from jaxtyping import Array, Float

from trfjax.arrays import safe_divide
from trfjax.scores.classwise import centre as centre_rows
from trfjax.scores.classwise import dot
from trfjax.typing import Features, Labels, Weights


def default_rcond(d: int, *, exact: bool = False) -> float:
    """Return the relative size of the singular values that rounding can fake."""
    return 10 * d * float(np.finfo(np.float64 if exact else np.float32).eps)


def centre(
    features: Features, labels: Labels, weights: Weights, num_classes: int
) -> tuple[Float[Array, " n"], Float[Array, "n d"], Float[Array, "n c"]]:
    """Return shares, centred features and the centred one-hot labels over sqrt(pi)."""
    share = weights / weights.sum()
    centred = centre_rows(features, share)
    onehot = jax.nn.one_hot(labels, num_classes, dtype=features.dtype)
    prior = dot(share, onehot)
    # An absent class has a column of zeros.
    return share, centred, safe_divide(onehot - prior, jnp.sqrt(prior))


def decompose(
    share: Float[Array, " n"], centred: Float[Array, "n d"]
) -> tuple[Float[Array, "n k"], Float[Array, " k"], Float[Array, "k d"]]:
    """Return the singular value decomposition of the weighted rows, held constant."""
    rows = stop_gradient(root(share) * centred)
    left, size, right = jnp.linalg.svd(rows, full_matrices=False)
    return left, size, right


def root(share: Float[Array, " n"]) -> Float[Array, "n 1"]:
    """Return the square roots of the shares as a column."""
    return jnp.sqrt(share)[:, None]


def with_gradient_of(value: Array, bound: Array) -> Array:
    """Return a value with the derivative of a bound that it attains."""
    return stop_gradient(value) + (bound - stop_gradient(bound))

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
    features: Features,
    labels: Labels,
    weights: Weights,
    num_classes: int,
    *,
    by_column: bool = False,
) -> tuple[Float[Array, " n"], Float[Array, "n d"], Float[Array, "n c"]]:
    """Return shares, centred features and the centred one-hot labels over sqrt(pi).

    The centred features are scaled to a size of about 1, all together or every column
    for itself, so that no product of them leaves the range of their type.
    """
    share = weights / weights.sum()
    features = features * factor_of(features, by_column=by_column)
    centred = centre_rows(features, share)
    centred = centred * factor_of(centred, by_column=by_column)
    onehot = jax.nn.one_hot(labels, num_classes, dtype=features.dtype)
    prior = dot(share, onehot)
    # An absent class has a column of zeros.
    member = safe_divide(onehot - prior[None], jnp.sqrt(prior)[None])
    return share, centred, member


def factor_of(values: Float[Array, "n d"], *, by_column: bool) -> Float[Array, "1 d"]:
    """Return the powers of two that bring values to a size of about 1, held constant.

    Multiplying by a power of two rounds nothing.
    """
    info = jnp.finfo(values.dtype)
    axis = 0 if by_column else None
    largest = jnp.max(jnp.abs(stop_gradient(values)), axis=axis, keepdims=True)
    exponent = -jnp.frexp(largest)[1]
    exponent = jnp.clip(exponent, int(info.minexp), int(info.maxexp) - 2)
    factor = jnp.ldexp(jnp.ones_like(largest), exponent)
    return jnp.broadcast_to(factor, (1, values.shape[1]))


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

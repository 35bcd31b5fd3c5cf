"""Rows of probabilities, also of half precision."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from trfjax.numbers import is_traced
from trfjax.typing import AnyArray, ArrayInput

SIMPLEX_TOLERANCE = 1e-4  # how far a row of probabilities may sum from 1


def half_step(value: ArrayInput) -> float:
    """Return how far rounding to half precision moves a sum of 1; 0 in full."""
    dtype = getattr(value, "dtype", np.float32)
    name = str(dtype).removeprefix("torch.")
    try:
        step = float(jnp.finfo(name).eps)
    except (TypeError, ValueError):
        return 0.0
    return 0.0 if step < SIMPLEX_TOLERANCE else step


def check_probs(
    name: str,
    probs: AnyArray,
    weights: AnyArray,
    *,
    instead: str,
    half: float = 0.0,
) -> AnyArray:
    """Refuse rows that are not probabilities; `instead` says what to do.

    Rows of weight 0 are not looked at.

    Args:
        name: of the argument.
        probs: `(n, z)`, rows that sum to 1.
        weights: `(n,)`.
        instead: what the message advises.
        half: `half_step` of the array as it came.

    Returns:
        The probabilities; rows that came in half precision sum to 1 again.
    """
    if is_traced(probs, weights):
        return probs / probs.sum(axis=-1, keepdims=True) if half else probs
    values = np.asarray(probs)
    sums = values.sum(axis=-1, dtype=np.float64)
    # A softmax taken in half precision rounds every term and its sum.
    tolerance = SIMPLEX_TOLERANCE + 8 * half
    wrong = (np.abs(sums - 1) > tolerance) | (values.min(axis=-1) < 0)
    wrong &= np.asarray(weights) > 0
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"{name}: row {row} is not a probability distribution (sum "
            f"{sums[row]:.6g}, least entry {values[row].min():.6g}). {instead}"
        )
    if not half:
        return probs
    even = values / np.where(sums > 0, sums, 1)[..., None]
    return jnp.asarray(even.astype(values.dtype))

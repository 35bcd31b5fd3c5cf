"""Fewer instances for scores that look at all pairs of them."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Int

from trfjax.arrays import Rows, is_traced
from trfjax.numbers import as_count


def check_limit(num_samples: int) -> None:
    """Refuse a number of instances that leaves no pair.

    Raises:
        ValueError: it is less than 2.
    """
    as_count("num_samples", num_samples, least=2)


def thinned(rows: Rows, num_samples: int) -> tuple[Rows, Int[np.ndarray, " m"]]:
    """Return at most so many instances, evenly spaced in their order, and which.

    Those of weight 0 are left out first; under `jit`, where weights cannot be looked
    at, they take their places like the others.
    """
    index = np.arange(len(rows.labels))
    if not is_traced(rows.weights):
        index = index[np.asarray(rows.weights) > 0]
    if len(index) > num_samples:
        index = index[np.linspace(0, len(index) - 1, num_samples).astype(int)]
    found = dataclasses.replace(
        rows,
        features=rows.features[index],
        labels=rows.labels[index],
        weights=rows.weights[index],
    )
    return found, index

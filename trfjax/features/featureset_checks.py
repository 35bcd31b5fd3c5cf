"""What arrays must be to make a set of features."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from trfjax.arrays import as_float
from trfjax.simplex import check_probs
from trfjax.typing import FEATURE_SPACES


def check_features(features: Mapping[str, np.ndarray], n: int) -> None:
    """Check that every space holds `n` rows of finite float32 numbers.

    Raises:
        ValueError: no space, an unknown one, another shape or type, values that are
            not finite, probabilities that are none.
    """
    if not features:
        raise ValueError("features: no space given")
    for name, array in features.items():
        if name not in FEATURE_SPACES:
            raise ValueError(
                f"features: {name!r} is none of {', '.join(FEATURE_SPACES)}"
            )
        if array.ndim != 2 or len(array) != n or not array.shape[1]:
            raise ValueError(
                f"features: {name!r} has shape {array.shape}, expected ({n}, d)"
            )
        if array.dtype != np.float32:
            raise ValueError(f"features: {name!r} is {array.dtype}, expected float32")
        as_float(name, array)
    if "probs" in features:
        instead = "Store logits under the name 'logits'."
        check_probs("probs", features["probs"], np.ones(n), instead=instead)


def check_ids(name: str, ids: np.ndarray, n: int, *, low: int, stop: int) -> None:
    """Check that there is an int32 id for every one of `n` rows, in `[low, stop)`.

    Args:
        name: of the argument.
        ids: to check.
        n: how many there must be.
        low: smallest id.
        stop: first number that is no id; 0 where that is not known.

    Raises:
        ValueError: another shape or type, or ids out of range.
    """
    if ids.shape != (n,) or ids.dtype != np.int32:
        raise ValueError(
            f"{name}: {ids.dtype} of shape {ids.shape}, expected int32 ({n},)"
        )
    if stop and (ids.min() < low or ids.max() >= stop):
        raise ValueError(
            f"{name}: values from {ids.min()} to {ids.max()}, "
            f"expected {low}..{stop - 1}"
        )

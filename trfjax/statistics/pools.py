"""Scores and performances of a pool of models, checked."""

from __future__ import annotations

import numpy as np

from trfjax.arrays import to_array
from trfjax.typing import ArrayInput


def checked_pool(
    scores: ArrayInput, performance: ArrayInput
) -> tuple[np.ndarray, np.ndarray]:
    """Check one pool of models and return it in float64."""
    s = np.asarray(to_array("scores", scores), np.float64)
    a = np.asarray(to_array("performance", performance), np.float64)
    for name, values in (("scores", s), ("performance", a)):
        if values.ndim != 1:
            raise ValueError(f"{name}: expected one number a model, got {values.shape}")
        if not np.isfinite(values).all():
            at = int(np.argmin(np.isfinite(values)))
            raise ValueError(
                f"{name}: {values[at]} for model {at}; leave models without a value out"
            )
    if len(s) != len(a):
        raise ValueError(f"performance: {len(a)} values for {len(s)} scores")
    return s, a


def undefined(s: np.ndarray, a: np.ndarray) -> bool:
    """Say whether nothing can be ordered: fewer than two models, or all alike."""
    return len(s) < 2 or bool(np.ptp(s) == 0 or np.ptp(a) == 0)

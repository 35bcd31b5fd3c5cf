"""What scores can reach: bounds, limits, floors, and the share of what there is."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from trfjax.scores.spec import Explained, shares
from trfjax.typing import AnyArray


def minus_entropy(share: Float[np.ndarray, " c"]) -> float:
    """Return what a conditional entropy of labels reaches with a useless source."""
    share = share[share > 0]
    return float(np.sum(share * np.log(share)))


def entropy_limits(share: Float[np.ndarray, " c"]) -> tuple[float, float]:
    """Return the least and the largest conditional entropy of that many classes."""
    return -float(np.log(max(np.sum(share > 0), 1))), 0.0


def _of_entropy(score: float, share: Float[np.ndarray, " c"]) -> float:
    floor = minus_entropy(share)
    return 1 - score / floor if floor < 0 else float("nan")


def _of_separation(score: float, share: Float[np.ndarray, " c"]) -> float:
    most = int(np.sum(share > 0)) - 1
    return score / most if most > 0 else float("nan")


ENTROPY = Explained(share=_of_entropy, of="the label entropy")
SEPARATION = Explained(share=_of_separation, of="what perfect features separate")


def entropy_bounds(
    labels: np.ndarray, arrays: Mapping[str, AnyArray]
) -> tuple[float, float]:
    """Return the bounds of minus an entropy of the labels given something."""
    return minus_entropy(shares(labels)), 0.0


def unbounded(
    labels: np.ndarray, arrays: Mapping[str, AnyArray]
) -> tuple[float, float]:
    """Return the bounds of a score that may take any value."""
    return -np.inf, np.inf

"""What the output of a source head says: probabilities and predicted classes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

UNKNOWN = -1  # the prediction where there is no head to make one


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities of `(n, d)` logits."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def head_predictions(features: Mapping[str, np.ndarray], n: int) -> np.ndarray:
    """Return the arg-max of the source head, `(n,)` int32; -1 without a head."""
    for name in ("logits", "probs"):
        if name in features:
            return features[name].argmax(axis=-1).astype(np.int32)
    return np.full(n, UNKNOWN, np.int32)

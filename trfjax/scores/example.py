"""Example inputs for a score: enough to try all of its laws."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

NOUNS = ("features", "levels", "logits", "probs", "predictions", "images")
TARGET_SIDE = tuple(f"target_{noun}" for noun in NOUNS)
# Arrays of source-class ids.
CLASSED = ("source_predictions", "source_labels", "target_predictions")
SOURCE_SIDE = (*(f"source_{noun}" for noun in NOUNS), "source_labels")


@dataclasses.dataclass(frozen=True)
class Case:
    """Labelled data to try a score on; labels are in `[0, num_classes)`."""

    arrays: Mapping[str, np.ndarray]
    labels: np.ndarray
    num_classes: int

    def map(self, change: Callable[[np.ndarray], np.ndarray], *names: str) -> Case:
        """Return the case with some of its arrays changed."""
        changed = {k: change(v) if k in names else v for k, v in self.arrays.items()}
        return dataclasses.replace(self, arrays=changed)

    def rows(self, index: np.ndarray) -> Case:
        """Return the case with those target instances."""
        case = self.map(lambda array: array[index], *TARGET_SIDE)
        return dataclasses.replace(case, labels=self.labels[index])

    def source_rows(self, index: Callable[[int], np.ndarray]) -> Case:
        """Return the case with the source instances `index(number of them)`."""
        sides = [name for name in SOURCE_SIDE if name in self.arrays]
        if not sides:
            return self
        rows = index(len(self.arrays[sides[0]]))
        return self.map(lambda a: a[rows], *sides)


def example_case(
    n: int = 48, d: int = 4, classes: int = 3, *, sources: int = 4, seed: int = 0
) -> Case:
    """Return made-up data: Gaussian classes, and a source class that never occurs."""
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(classes, d))

    def side(size: int) -> tuple[np.ndarray, np.ndarray]:
        late = rng.integers(classes, size=max(size - classes, 0))
        labels = rng.permutation(np.concatenate([np.arange(classes), late])[:size])
        return means[labels] + rng.normal(size=(size, d)), labels

    (features, labels), (source, source_labels) = side(n), side(n)
    head = rng.normal(size=(d, sources))
    arrays = {f"target_{k}": v for k, v in _seen(features, head).items()}
    arrays |= {f"source_{k}": v for k, v in _seen(source, head).items()}
    arrays["source_labels"] = source_labels
    return Case(arrays, labels, classes)


def _seen(features: np.ndarray, head: np.ndarray) -> dict[str, np.ndarray]:
    """Return what a network says of instances, its last class never."""
    logits = features @ head
    logits[:, -1] = -200
    probs = np.exp(logits - logits.max(axis=1, keepdims=True))
    probs = (probs / probs.sum(axis=1, keepdims=True)).astype(np.float32)
    return {
        "features": features.astype(np.float32),
        "levels": features.astype(np.float32),
        "logits": logits.astype(np.float32),
        "probs": probs,
        "predictions": probs.argmax(axis=1),
        "images": np.arange(len(features)) % 4,
    }

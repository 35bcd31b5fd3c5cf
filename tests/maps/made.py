"""Small maps for tests: two sources of made-up features and their definitions."""

from typing import NamedTuple

import numpy as np


class Made(NamedTuple):
    probs: np.ndarray  # (b, h, w, z)
    ids: np.ndarray  # their arg-max
    labels: np.ndarray  # (b, h, w)
    source: np.ndarray
    source_labels: np.ndarray

    def arrays(self, metric):
        """Return what `transfer_map` takes for a score."""
        source = (self.source, self.source_labels) if metric == "otce" else (None, None)
        return *source, self.ids if metric == "nce" else self.probs, self.labels


def made(rng, images=3, height=10, width=14, sources=4, targets=3):
    def side(classes, h, w):
        labels = rng.integers(classes, size=(images, h, w))
        logits = rng.normal(size=(*labels.shape, sources))
        logits += 2 * np.eye(sources)[labels % sources]
        probs = np.exp(logits)
        probs /= probs.sum(axis=-1, keepdims=True)
        return probs.astype(np.float32), labels

    probs, labels = side(targets, height, width)
    source, source_labels = side(sources, height + 3, width + 5)
    labels[rng.random(labels.shape) < 0.1] = 255
    return Made(probs, probs.argmax(-1), labels, source, source_labels)


def leep_by_hand(probs, labels):
    probs = np.asarray(probs, np.float64)
    joint = {y: probs[labels == y].sum(axis=0) for y in np.unique(labels)}
    total = sum(joint.values())
    return np.array(
        [np.log(p @ (joint[y] / total)) for p, y in zip(probs, labels, strict=True)]
    )


def nce_by_hand(ids, labels):
    return np.array(
        [
            np.log(np.mean(labels[ids == z] == y))
            for z, y in zip(ids, labels, strict=True)
        ]
    )


def evidence_by_hand(features, column, alpha, beta):
    """Return the log evidence of one column from the covariance of its instances."""
    features = np.asarray(features, np.float64)
    n = len(column)
    covariance = np.eye(n) / beta + features @ features.T / alpha
    sign, log_det = np.linalg.slogdet(covariance)
    assert sign > 0
    fit = column @ np.linalg.solve(covariance, column)
    return -0.5 * (n * np.log(2 * np.pi) + log_det + fit)

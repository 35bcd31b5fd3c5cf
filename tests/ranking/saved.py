"""Saved features of a made-up candidate, for tests that need no network."""

import numpy as np

from trfjax.features.featureset import FeatureSet
from trfjax.ranking.plan import Plan, pixels_of, spaces_of

CLASSES = ("road", "sky", "tree")


def features(seed=0, *, n=90, images=3, classes=CLASSES, d=4, noise=1.0):
    """Rows of three images; logits and a last layer that know the labels a little."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(3), rng.integers(3, size=n - 3)])
    logits = 2 * np.eye(3)[labels] + noise * rng.normal(size=(n, 3))
    last = rng.normal(size=(3, d))[labels] + noise * rng.normal(size=(n, d))
    return FeatureSet.from_arrays(
        labels, logits=logits, penultimate=last, image=np.arange(n) % images,
        class_names=classes,
    )  # fmt: skip


def plan(*metrics, pixels=None, **changes):
    """The plan of some scores, with quick settings."""
    given = {
        "pixels": pixels_of(metrics, pixels, solver="fast", strategy="uniform"),
        "features": spaces_of(metrics, None),
        "atoms": 32, "repeats": 2, "epsilon": 0.1, "relative_epsilon": False,
        "solver": "fast", "strategy": "uniform", "bootstrap": 5, "seed": 0,
    }  # fmt: skip
    return Plan(metrics=metrics, **{**given, **changes})

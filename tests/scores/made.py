"""Made-up labelled features for the tests of scores."""

import numpy as np


def made_up(rng, n=60, d=4, classes=3):
    """Return Gaussian classes of unlike sizes, in a slanted basis, off the origin."""
    share = np.arange(1, classes + 1) / np.arange(1, classes + 1).sum()
    labels = np.concatenate(
        [np.arange(classes), rng.choice(classes, n - classes, p=share)]
    )
    labels = rng.permutation(labels)
    features = rng.normal(size=(classes, d))[labels] + rng.normal(size=(n, d))
    return features @ rng.normal(size=(d, d)) / np.sqrt(d) + 2, labels

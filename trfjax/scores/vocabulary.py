"""The words of a `ScoreSpec`: what scores read, take and promise."""

from __future__ import annotations

from typing import Literal, TypeAlias

# What a score reads, by argument. `features` are rows of the feature space that was
# asked for, the others rows of just what they are called; `predictions` are source
# classes, `images` the image of every row. The last two are no arrays of rows: the
# source network and the target data set, for scores that need derivatives.
Input: TypeAlias = Literal[
    "source_features",
    "source_logits",
    "source_probs",
    "source_levels",
    "source_predictions",
    "source_images",
    "source_labels",
    "target_features",
    "target_logits",
    "target_probs",
    "target_levels",
    "target_predictions",
    "target_images",
    "network",
    "target_data",
]
# Sums over images, by argument: `Atoms` and `Moments` of the feature space, and pixels
# by image, predicted and given label, `(i, z, c)`.
Table: TypeAlias = Literal[
    "source_atoms",
    "source_moments",
    "source_counts",
    "target_atoms",
    "target_moments",
    "target_counts",
]
# What a ranking was asked for and a function may take.
Setting: TypeAlias = Literal[
    "num_samples",
    "repeats",
    "epsilon",
    "relative_epsilon",
    "key",
    "feature_space",
    "solver",
]
Law: TypeAlias = Literal[
    "order",  # of the instances
    "target_names",  # any ids for the target classes, and ids without an instance
    "source_names",  # any order of the source classes
    "duplicates",  # every instance twice
    "rotation",  # of the features, of both sides together
    "shift",  # by a vector, likewise
    "scale",  # by a number, likewise
    "zero_feature",  # one more feature that is 0 everywhere
]

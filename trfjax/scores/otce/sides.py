"""What both sides of a coupling must be."""

from __future__ import annotations

import dataclasses
from typing import TypeAlias

from trfjax.arrays import Rows, labelled_rows
from trfjax.simplex import check_probs, half_step
from trfjax.typing import (
    FEATURE_SPACES,
    ArrayInput,
    Count,
    FeatureSpace,
)

INSTEAD = (
    "Apply a softmax, or say what they are with feature_space='logits' or "
    "'penultimate'."
)
Side: TypeAlias = tuple[ArrayInput, ArrayInput, Count | None]  # and its classes


def check_sides(
    source: Side,
    target: Side,
    *,
    feature_space: FeatureSpace,
    ignore: int,
) -> tuple[Rows, Rows]:
    """Return the rows of both sides, checked.

    Args:
        source: features, labels and number of classes.
        target: likewise.
        feature_space: what the features are; probabilities are held to be some.
        ignore: the label that counts for nothing.

    Raises:
        TypeError, ValueError: arrays that do not fit together or are not what they
            are called, another feature space.
    """
    if feature_space not in FEATURE_SPACES:
        raise ValueError(
            f"feature_space: {feature_space!r} is none of {', '.join(FEATURE_SPACES)}"
        )
    sides = []
    for name, (features, labels, classes) in (("source", source), ("target", target)):
        names = f"{name}_features", f"{name}_labels"
        rows = labelled_rows(
            features, labels, names=names, num_classes=classes, ignore=ignore
        )
        if feature_space == "probs":
            half = half_step(features)
            probs = check_probs(
                names[0], rows.features, rows.weights, instead=INSTEAD, half=half
            )
            rows = dataclasses.replace(rows, features=probs)
        sides.append(rows)
    widths = [rows.features.shape[1] for rows in sides]
    if widths[0] != widths[1]:
        raise ValueError(
            f"source_features, target_features: widths {widths[0]} and {widths[1]} "
            "differ; both must come from the same network and layer"
        )
    return sides[0], sides[1]

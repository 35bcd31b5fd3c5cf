"""Cells scored from their sums over pixels: moments, or counts by prediction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

from trfjax.atoms.moments import joined, moments_of
from trfjax.maps.cells import CellPixels
from trfjax.scores.spec import ScoreSpec

GROUPS = 10  # of images that the jackknife leaves out in turn, at most


def scored_sums(
    spec: ScoreSpec, pixels: CellPixels, **known: Any
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"]]:
    r"""Return the score of every cell and its standard error over images.

    The images are dealt into at most ten groups; the error is the jackknife's over
    the G groups with a pixel in the cell,

    $$s^2 = \tfrac{G-1}{G} \sum_g (\theta_{(g)} - \bar\theta_{(\cdot)})^2.$$

    Args:
        spec: with a form in sums of moments or counts.
        pixels: of the cells.
        **known: `num_classes`, and `num_source_classes` where the score reads ids.
    """
    assert spec.of_sums is not None  # asked for by name
    table = _moments if spec.of_sums.tables == ("target_moments",) else _counts
    replicates = spec.of_sums.replicates
    found = [
        _one(replicates, table, features, labels, images % GROUPS, known)
        for features, labels, images in zip(
            pixels.features, pixels.labels, pixels.images, strict=True
        )
    ]
    values, errors = zip(*found, strict=True)
    return np.array(values), np.array(errors)


def _one(
    replicates: Callable[..., np.ndarray],
    table: Callable[..., Any],
    features: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    known: dict[str, Any],
) -> tuple[float, float]:
    kept = labels >= 0
    features, labels, groups = features[kept], labels[kept], groups[kept]
    present = np.unique(groups)
    sums = table([(features[groups == g], labels[groups == g]) for g in present], known)
    count = len(present)
    if count < 2:
        return float(replicates(sums, np.ones((1, count)))[0]), np.nan
    rows = np.concatenate([np.ones((1, count)), 1 - np.eye(count)])
    value, *left_out = replicates(sums, rows)
    return float(value), float(np.std(left_out) * np.sqrt(count - 1))


def _moments(parts: list[tuple[np.ndarray, np.ndarray]], known: dict[str, Any]) -> Any:
    return joined([moments_of(*part, known["num_classes"]) for part in parts])


def _counts(parts: list[tuple[np.ndarray, np.ndarray]], known: dict[str, Any]) -> Any:
    counts = np.zeros((len(parts), known["num_source_classes"], known["num_classes"]))
    for i, (predictions, labels) in enumerate(parts):
        np.add.at(counts[i], (predictions, labels), 1)
    return counts

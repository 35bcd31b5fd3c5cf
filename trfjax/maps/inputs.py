"""Arrays at the door of a map: maps and labels of one size, indexed and checked."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Collection
from typing import Any

import numpy as np
from jaxtyping import Int

from trfjax.arrays import as_float, as_labels, index_labels, row_weights
from trfjax.scores import SCORES
from trfjax.scores.spec import ScoreSpec
from trfjax.simplex import check_probs
from trfjax.typing import ArrayInput


@dataclasses.dataclass(frozen=True, eq=False)
class Side:
    """One side: what a score reads of it, and the class index of every pixel."""

    features: np.ndarray  # (b, h, w, d) maps, or (b, h, w) ids
    labels: Int[np.ndarray, "b h w"]  # -1 where a pixel counts for nothing
    classes: tuple[int, ...]  # the ids that the indices stand for


def checked_sides(
    spec: ScoreSpec,
    source: tuple[ArrayInput | None, ArrayInput | None],
    target: tuple[ArrayInput, ArrayInput],
    *,
    num_classes: int | None,
    num_source_classes: int | None,
    ignore: int | Collection[int],
) -> tuple[Side | None, Side, dict[str, Any]]:
    """Return source and target, and the numbers of classes as the score takes them.

    Args:
        spec: the score, which may look at the target alone: then there is no source.
        source: features and labels.
        target: likewise.
        num_classes: of the target; None re-indexes the ids present.
        num_source_classes: likewise.
        ignore: the label, or labels, that count for nothing.

    Raises:
        TypeError, ValueError: arrays that do not fit, values that are not what the
            score reads, labels out of range, nothing left to score.
    """
    target_side, sources = _target(
        spec,
        *target,
        num_classes=num_classes,
        num_source_classes=num_source_classes,
        ignore=ignore,
    )
    source_side = _source(
        spec,
        *source,
        width=target_side.features.shape[-1],
        num_source_classes=num_source_classes,
        ignore=ignore,
    )
    known = {"num_classes": len(target_side.classes)}
    if spec.source_ids:
        count = sources if source_side is None else len(source_side.classes)
        known["num_source_classes"] = count
    return source_side, target_side, known


def _target(
    spec: ScoreSpec,
    features: ArrayInput,
    labels: ArrayInput,
    *,
    num_classes: int | None,
    num_source_classes: int | None,
    ignore: int | Collection[int],
) -> tuple[Side, int]:
    """Return the target and, where the score reads ids, the number of source classes.

    Raises:
        TypeError, ValueError: arrays that do not fit, values that are not what the
            score reads, labels out of range, nothing left to score.
    """
    side = _side("target", features, labels, num_classes, ignore, ids=reads_ids(spec))
    valid = side.labels >= 0
    if spec.inputs[-1] == "target_probs":
        for probs, counted in zip(side.features, valid, strict=True):
            check_probs(
                "target_features",
                probs.reshape(counted.size, -1),
                counted.ravel(),
                instead=f"{spec.name} reads class probabilities: apply a softmax.",
            )
    if not reads_ids(spec):
        return side, num_source_classes or 0
    ids, classes = index_labels(
        "target_features",
        side.features.ravel(),
        valid.ravel(),
        num_source_classes,
        ignore,
        setting="num_source_classes",
    )
    indexed = np.asarray(ids).reshape(valid.shape)
    return dataclasses.replace(side, features=indexed), len(classes)


def _source(
    spec: ScoreSpec,
    features: ArrayInput | None,
    labels: ArrayInput | None,
    *,
    width: int,
    num_source_classes: int | None,
    ignore: int | Collection[int],
) -> Side | None:
    """Return the source of a score that looks at it, and None of any other.

    Raises:
        TypeError, ValueError: arrays that are missing, superfluous or do not fit.
    """
    if not spec.two_sided:
        if features is not None or labels is not None:
            raise ValueError(
                f"source_features, source_labels: {spec.name} looks at the target "
                "alone; pass None for both"
            )
        return None
    if features is None or labels is None:
        raise ValueError(
            f"source_features, source_labels: {spec.name} couples source and target "
            "pixels; pass the maps and labels of some source images"
        )
    side = _side("source", features, labels, num_source_classes, ignore, ids=False)
    if side.features.shape[-1] != width:
        raise ValueError(
            f"source_features, target_features: widths {side.features.shape[-1]} and "
            f"{width} differ; both must come from the same network and layer"
        )
    return side


def _side(
    name: str,
    features: ArrayInput,
    labels: ArrayInput,
    num_classes: int | None,
    ignore: int | Collection[int],
    *,
    ids: bool,
) -> Side:
    read = as_labels if ids else functools.partial(as_float, check=False)
    values = np.asarray(read(f"{name}_features", features))
    truth = np.asarray(as_labels(f"{name}_labels", labels))
    expected = "(b, h, w) ids" if ids else "(b, h, w, d) maps"
    if values.ndim != (3 if ids else 4) or not values.size:
        raise ValueError(
            f"{name}_features: expected {expected}, got shape {values.shape}; images "
            "of different sizes have to be resized to one size first"
        )
    if truth.shape != values.shape[:3]:
        raise ValueError(
            f"{name}_labels: shape {truth.shape} does not fit {name}_features of shape "
            f"{values.shape}; expected {values.shape[:3]}. Resize the labels (nearest "
            "neighbour) to the feature grid, or the features to the labels."
        )
    flat = truth.reshape(-1)
    known = row_weights(f"{name}_labels", flat, ignore)
    index, classes = index_labels(f"{name}_labels", flat, known, num_classes, ignore)
    index = np.where(np.asarray(known) > 0, index, -1).reshape(truth.shape)
    if not ids:
        _check_finite(f"{name}_features", values, index >= 0)
    return Side(values, index, classes)


def _check_finite(name: str, values: np.ndarray, counted: np.ndarray) -> None:
    """Refuse NaN and infinity, an image at a time: all may not fit into memory."""
    pairs = zip(values, counted, strict=True)
    bad = np.stack([~np.isfinite(one).all(axis=2) & held for one, held in pairs])
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"{name}: {int(bad.sum())} pixels hold NaN or infinity, the first at "
            f"(image, row, column) {first}. Label them with the ignore value."
        )


def reads_ids(spec: ScoreSpec) -> bool:
    """Say whether what the score reads of the target are ids of source classes."""
    return spec.inputs[-1].endswith("_predictions")


def mapped_score(metric: str, *, pixels: bool) -> ScoreSpec:
    """Return a score that can be mapped, by pixel or by cell.

    Raises:
        ValueError: no such score, or one without the form it takes.
    """
    spec = SCORES.named(metric)
    if not _maps(spec, pixels):
        known = [name for name, found in SCORES.items() if _maps(found, pixels)]
        form = "no mean over pixels" if pixels else "without a form in sums"
        raise ValueError(f"metric: {metric!r} is {form}; those are {', '.join(known)}")
    return spec


def _maps(spec: ScoreSpec, pixels: bool) -> bool:
    if spec.per_instance is not None:
        return True
    sums = ("target_moments",), ("target_counts",)
    return not pixels and spec.of_sums is not None and spec.of_sums.tables in sums

"""What a file of features says, ours or of other programs, as arguments of a set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from trfjax.arrays import as_float, as_labels
from trfjax.data.labels import looks_void
from trfjax.typing import FEATURE_SPACES, IGNORE

SCHEMA = 1  # of the files; it grows when their meaning changes
MAX_IDS = 2**16  # classes a file may number
MAX_IMAGES = 10**7  # images a file may number


class Known(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """The metadata of a file; a file of other programs says none of it."""

    schema: int = SCHEMA
    image_ids: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()
    source_class_names: tuple[str, ...] = ()
    ignore: int = IGNORE
    facts: dict[str, Any] = msgspec.field(default_factory=dict)


def arguments(
    arrays: Mapping[str, np.ndarray], known: Known, features: str
) -> dict[str, Any]:
    """Return the arguments of a `FeatureSet`; predictions are None where unknown.

    Raises:
        ValueError: arrays that do not fit one another, or say something else.
    """
    if known.schema != SCHEMA:
        raise ValueError(
            f"written in version {known.schema} of the format, this is version "
            f"{SCHEMA}; extract the features again"
        )
    spaces = {name: name for name in FEATURE_SPACES if name in arrays}
    if "features" in arrays:
        spaces.setdefault(features, "features")
    if "labels" not in arrays or not spaces:
        raise ValueError(
            f"holds the arrays {sorted(arrays)}; expected 'labels' and at least one of "
            f"'features', {', '.join(map(repr, FEATURE_SPACES))}"
        )
    arrays = _rows(arrays)
    labels = np.asarray(as_labels("labels", arrays["labels"]))
    if labels.ndim != 1:
        one_hot = labels.ndim in (2, 4) and set(np.unique(labels).tolist()) <= {0, 1}
        hint = " They look one-hot: take their argmax over the classes." * one_hot
        raise ValueError(
            f"labels: shape {labels.shape}, expected ids (n,) or (b, h, w).{hint}"
        )
    _check_shapes(arrays, labels, set(spaces.values()))
    keep = np.flatnonzero(labels != known.ignore)
    labels = labels[keep]
    _check_ids(labels, known)
    rows = {
        space: np.asarray(as_float(space, arrays[name][keep]), np.float32)
        for space, name in spaces.items()
    }
    image = _ids("image", arrays.get("image", np.zeros(len(arrays["labels"]))), keep)
    heads = [array.shape[1] for name, array in rows.items() if name != "penultimate"]
    count = int(image.max(initial=0)) + 1
    if count > MAX_IMAGES:
        raise ValueError(f"image: index {count - 1} is above {MAX_IMAGES - 1}")
    return {
        "features": rows,
        "labels": labels.astype(np.int32),
        "predictions": _ids("predictions", arrays["predictions"], keep)
        if "predictions" in arrays
        else None,
        "image": image,
        "image_ids": known.image_ids or tuple(map(str, range(count))),
        "class_names": known.class_names,
        "source_class_names": known.source_class_names
        or tuple(map(str, range(max(heads, default=0)))),
        "ignore": known.ignore,
        "facts": known.facts,
    }


def no_labels(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return labels that say nothing, at the places of the features.

    Raises:
        ValueError: no feature at all.
    """
    for name in FEATURE_SPACES:
        if name in arrays:
            return np.zeros(arrays[name].shape[:-1], np.int32)
    raise ValueError(f"features: none given; some of {', '.join(FEATURE_SPACES)}")


def _rows(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return maps `(b, h, w, d)` with labels `(b, h, w)` as rows."""
    shape = arrays["labels"].shape
    if len(shape) != 3:
        return dict(arrays)
    rows = {
        name: array.reshape(-1, *array.shape[3:]) if array.shape[:3] == shape else array
        for name, array in arrays.items()
    }
    rows.setdefault("image", np.repeat(np.arange(shape[0]), shape[1] * shape[2]))
    return rows


def _check_shapes(
    arrays: Mapping[str, np.ndarray], labels: np.ndarray, spaces: set[str]
) -> None:
    for name, array in arrays.items():
        if array.shape[:1] != labels.shape[:1]:
            raise ValueError(
                f"array {name!r} has shape {array.shape}, labels have {labels.shape}; "
                "the first axes must agree"
            )
        if array.ndim != (2 if name in spaces else 1) and name in (
            *spaces,
            *("labels", "predictions", "image"),
        ):
            raise ValueError(
                f"array {name!r} has shape {array.shape}; expected (n, d) rows with "
                "(n,) labels, or (b, h, w, d) maps with (b, h, w) labels, channels last"
            )


def _check_ids(labels: np.ndarray, known: Known) -> None:
    if known.class_names or not labels.size:
        return  # held against their number later
    found = looks_void(np.unique(labels).tolist())
    if found is not None:
        raise ValueError(
            f"labels: {found} looks like the label of pixels to ignore, not like a "
            f"class (ignore={known.ignore}). Pass ignore={found}, or class_names=."
        )
    if labels.max() >= MAX_IDS:
        raise ValueError(
            f"labels: {labels.max()} is above {MAX_IDS - 1}; number the classes from 0"
        )


def _ids(name: str, array: np.ndarray, keep: np.ndarray) -> np.ndarray:
    ids = np.asarray(as_labels(name, array[keep]))
    if ids.size and (ids.min() < -(2**31) or ids.max() >= 2**31):
        raise ValueError(f"{name}: values from {ids.min()} to {ids.max()} are no ids")
    return ids.astype(np.int32)

"""What the scores read: features, labels and source predictions of drawn pixels."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from trfjax.arrays import as_float, to_array
from trfjax.errors import DataError
from trfjax.features.levels import level_name, levels_of
from trfjax.features.saved import SCHEMA as SCHEMA
from trfjax.features.saved import Known, arguments
from trfjax.files import read_arrays, write_arrays
from trfjax.reading import converted
from trfjax.simplex import check_probs
from trfjax.typing import FEATURE_SPACES, IGNORE, ArrayInput, FeatureSpace

UNKNOWN = -1  # the prediction where there is no head to make one


@dataclasses.dataclass(frozen=True, eq=False)
class FeatureSet:
    """Drawn pixels (or images, in classification) as one network sees them.

    Raises:
        ValueError: arrays that do not belong together, values that are not finite,
            labels outside the classes, or probabilities that are none.
    """

    features: dict[str, np.ndarray]  # space -> (n, d) float32
    labels: np.ndarray  # (n,) int32 class indices of the data, never ignored ones
    predictions: np.ndarray  # (n,) int32 arg-max of the source head; -1: no head known
    image: np.ndarray  # (n,) int32 index into image_ids
    image_ids: tuple[str, ...]
    class_names: tuple[str, ...]  # of the data; empty: labels are only ids
    source_class_names: tuple[str, ...]  # of the head; empty: no head known
    ignore: int = IGNORE
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)  # JSON, provenance

    def __post_init__(self) -> None:
        _check_shapes(self)
        _check_values(self)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def spaces(self) -> tuple[str, ...]:
        """The feature spaces `space` can return."""
        derived = "logits" in self.features
        return tuple(
            name
            for name in FEATURE_SPACES
            if name in self.features or (name == "probs" and derived)
        )

    @property
    def label_counts(self) -> np.ndarray:
        """Pixels by image and label, `(i, c)`."""
        classes = max(len(self.class_names), int(self.labels.max()) + 1)
        counts = np.zeros((len(self.image_ids), classes))
        np.add.at(counts, (self.image, self.labels), 1)
        return counts

    @property
    def parts(self) -> list[Any]:
        """Everything that is in it, for a hash of the content."""
        known = [self.facts, self.image_ids, self.class_names, self.ignore]
        arrays = [self.labels, self.predictions, self.image]
        named = sorted(self.features.items())
        return [*known, *arrays, *(part for item in named for part in item)]

    def space(self, name: str) -> np.ndarray:
        """Return the features of one space, `(n, d)` float32.

        Probabilities are the softmax of the logits where only those are stored.

        Raises:
            ValueError: a space that is not there.
        """
        if name in self.features:
            return self.features[name]
        if name == "probs" and "logits" in self.features:
            return softmax(self.features["logits"])
        raise ValueError(
            f"space: no {name!r} among these features, which hold "
            f"{', '.join(self.spaces)}; extract them with spaces=({name!r},)"
        )

    def save(self, path: str | Path) -> None:
        """Write one `.safetensors` file, atomically.

        Raises:
            ValueError: another suffix.
        """
        path = Path(path)
        if path.suffix != ".safetensors":
            raise ValueError(f"path: {path} must end in .safetensors")
        arrays = {
            **self.features,
            "labels": self.labels,
            "predictions": self.predictions,
            "image": self.image,
        }
        metadata = {
            "schema": SCHEMA,
            "image_ids": self.image_ids,
            "class_names": self.class_names,
            "source_class_names": self.source_class_names,
            "ignore": self.ignore,
            "facts": self.facts,
        }
        # One key, since the order of several is left to chance in the file.
        write_arrays(path, arrays, {"featureset": metadata})

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        features: FeatureSpace = "penultimate",
        class_names: Sequence[str] | None = None,
        source_class_names: Sequence[str] | None = None,
        ignore: int | None = None,
    ) -> FeatureSet:
        """Read what `save` wrote, or arrays saved by other programs.

        A foreign `.npz` or `.safetensors` holds `labels (n,)` and at least one of
        `features`, `probs`, `logits`, `penultimate`, each `(n, d)`; `predictions (n,)`
        and `image (n,)` are read where they are. Maps `(b, h, w, d)` with labels
        `(b, h, w)` are read as rows. Its ignored rows are left out.

        Args:
            path: the file.
            features: the space of an array that is only called `features`.
            class_names: of the data, where the file does not say.
            source_class_names: of the source head, where the file does not say.
            ignore: the label that counts for nothing, where the file does not say;
                255 by default.

        Raises:
            FileNotFoundError: no such file.
            DataError: a damaged file, object arrays, or arrays that do not fit.
        """
        path = Path(path)
        arrays, metadata = read_arrays(path)
        known = converted(path, metadata.get("featureset", {}), Known)
        given = {
            "class_names": class_names and tuple(class_names),
            "source_class_names": source_class_names and tuple(source_class_names),
            "ignore": ignore,
        }
        changes = {name: value for name, value in given.items() if value is not None}
        known = msgspec.structs.replace(known, **changes)
        try:
            found = arguments(arrays, known, features)
            if found["predictions"] is None:
                rows = found["features"]
                found["predictions"] = head_predictions(rows, len(found["labels"]))
            return cls(**found)
        except (ValueError, TypeError) as error:
            raise DataError(path, str(error)) from error

    @classmethod
    def from_arrays(
        cls,
        labels: ArrayInput,
        *,
        probs: ArrayInput | None = None,
        logits: ArrayInput | None = None,
        penultimate: ArrayInput | None = None,
        levels: Mapping[str, ArrayInput] | None = None,
        predictions: ArrayInput | None = None,
        image: ArrayInput | None = None,
        class_names: Sequence[str] | None = None,
        ignore: int = IGNORE,
    ) -> FeatureSet:
        """Return what one network says of labelled pixels, from arrays in memory.

        Args:
            labels: integer ids: maps `(b, h, w)`, whose first axis is the image, or
                rows `(n,)`. Ignored ones are left out.
            probs: `(b, h, w, z)` or `(n, z)` probabilities of the network's classes.
            logits: likewise; they stand in for probabilities.
            penultimate: `(b, h, w, d)` or `(n, d)`, the input of the last layer.
            levels: likewise, by the name of the level; wide ones are projected.
            predictions: predicted classes in the shape of the labels; by default the
                largest logit or probability.
            image: `(n,)` index of the image of every row; by default every row is an
                image of its own.
            class_names: of the labels, in the order of their ids.
            ignore: the label that counts for nothing.

        Raises:
            TypeError, ValueError: arrays that do not fit one another, or say something
                else; no feature at all.
        """
        given = {
            "probs": probs,
            "logits": logits,
            "penultimate": penultimate,
            "predictions": predictions,
            "image": image,
            "labels": labels,
        }
        arrays = {
            n: np.asarray(to_array(n, v)) for n, v in given.items() if v is not None
        }
        if "image" not in arrays and arrays["labels"].ndim == 1:
            arrays["image"] = np.arange(len(arrays["labels"]))
        if levels is not None:
            arrays["levels"] = _side_by_side(levels, arrays["labels"].ndim)
        known = Known(class_names=tuple(class_names or ()), ignore=ignore)
        found = arguments(arrays, known, "penultimate")
        if found["predictions"] is None:
            rows = found["features"]
            found["predictions"] = head_predictions(rows, len(found["labels"]))
        return cls(**found)

    def __str__(self) -> str:
        sizes = ", ".join(f"{k} {v.shape[1]}" for k, v in self.features.items())
        model = self.facts.get("model", "saved features")
        data = self.facts.get("data", "data")
        total = self.facts.get("total_valid")
        of = "" if total is None else f" of {total:,}"
        return (
            f"{model} on {data}: {len(self):,}{of} rows from {len(self.image_ids)} "
            f"images ({sizes}); {len(np.unique(self.labels))} classes present"
        )


def _side_by_side(levels: Mapping[str, ArrayInput], axes: int) -> np.ndarray:
    """Return levels, all `(b, h, w, d)` or all `(n, d)`, as one array."""
    maps = {
        level_name(i, name): np.asarray(
            as_float(f"levels[{name!r}]", value), np.float32
        )
        for i, (name, value) in enumerate(levels.items())
    }
    places = {array.shape[:-1] for array in maps.values()}
    if len(places) != 1 or len(next(iter(places))) != axes:
        shapes = ", ".join(str(array.shape) for array in maps.values())
        raise ValueError(
            f"levels: shapes {shapes or 'of none'}; all must be at the pixels of the "
            "labels, (b, h, w, d) or (n, d). Resize them to one size"
        )
    rows = {name: array.reshape(-1, array.shape[-1]) for name, array in maps.items()}
    return levels_of(rows).reshape(*places.pop(), -1)


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


def _check_shapes(found: FeatureSet) -> None:
    if not found.features:
        raise ValueError("features: no space given")
    n = len(found.labels)
    for name, array in found.features.items():
        if name not in FEATURE_SPACES:
            raise ValueError(
                f"features: {name!r} is none of {', '.join(FEATURE_SPACES)}"
            )
        if array.ndim != 2 or len(array) != n or not array.shape[1]:
            raise ValueError(
                f"features: {name!r} has shape {array.shape}, expected ({n}, d)"
            )
        if array.dtype != np.float32:
            raise ValueError(f"features: {name!r} is {array.dtype}, expected float32")
    for name in ("labels", "predictions", "image"):
        array = getattr(found, name)
        if array.shape != (n,) or array.dtype != np.int32:
            raise ValueError(
                f"{name}: {array.dtype} of shape {array.shape}, expected int32 ({n},)"
            )
    if n == 0:
        raise ValueError("labels: nothing is left, every label is ignored")


def _check_values(found: FeatureSet) -> None:
    for name, array in found.features.items():
        as_float(name, array)
    if "probs" in found.features:
        check_probs(
            "probs",
            found.features["probs"],
            np.ones(len(found)),
            instead="Store logits under the name 'logits'.",
        )
    if (found.labels == found.ignore).any():
        raise ValueError(f"labels: ignored pixels (ignore={found.ignore}) among them")
    ranges = {
        "labels": (0, len(found.class_names)),
        "predictions": (UNKNOWN, len(found.source_class_names)),
        "image": (0, len(found.image_ids)),
    }
    for name, (low, stop) in ranges.items():
        array = getattr(found, name)
        if stop and (array.min() < low or array.max() >= stop):
            raise ValueError(
                f"{name}: values from {array.min()} to {array.max()}, expected "
                f"{low}..{stop - 1}"
            )

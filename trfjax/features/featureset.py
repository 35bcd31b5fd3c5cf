"""What the scores read: features, labels and source predictions of drawn pixels."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from trfjax.arrays import to_array
from trfjax.data.labels import NO_LABELS
from trfjax.errors import DataError
from trfjax.features.featureset_checks import check_features, check_ids
from trfjax.features.head import UNKNOWN, head_predictions, softmax
from trfjax.features.levels import side_by_side
from trfjax.features.saved import SCHEMA as SCHEMA
from trfjax.features.saved import Known, arguments, no_labels
from trfjax.files import read_arrays, write_arrays
from trfjax.reading import converted
from trfjax.typing import FEATURE_SPACES, IGNORE, ArrayInput, FeatureSpace


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
        n = len(self.labels)
        if n == 0:
            raise ValueError("labels: nothing is left, every label is ignored")
        check_features(self.features, n)
        check_ids("labels", self.labels, n, low=0, stop=len(self.class_names))
        stop = len(self.source_class_names)
        check_ids("predictions", self.predictions, n, low=UNKNOWN, stop=stop)
        check_ids("image", self.image, n, low=0, stop=len(self.image_ids))
        if (self.labels == self.ignore).any():
            raise ValueError(
                f"labels: ignored pixels (ignore={self.ignore}) among them"
            )

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

        Returns:
            The set, checked.

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
        labels: ArrayInput | None,
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
        """Return what one network says of pixels, from arrays in memory.

        Args:
            labels: integer ids: maps `(b, h, w)`, whose first axis is the image, or
                rows `(n,)`. Ignored ones are left out. None: nobody has labelled them.
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

        Returns:
            The set, checked.

        Raises:
            TypeError, ValueError: arrays that do not fit one another, or say something
                else; no feature at all.
        """
        given = {"probs": probs, "logits": logits, "penultimate": penultimate}
        given |= {"predictions": predictions, "image": image, "labels": labels}
        known = {name: value for name, value in given.items() if value is not None}
        arrays = {name: np.asarray(to_array(name, v)) for name, v in known.items()}
        if labels is None:
            arrays["labels"], class_names = no_labels(arrays), NO_LABELS.names
        if "image" not in arrays and arrays["labels"].ndim == 1:
            arrays["image"] = np.arange(len(arrays["labels"]))
        if levels is not None:
            arrays["levels"] = side_by_side(levels, arrays["labels"].ndim)
        facts = Known(class_names=tuple(class_names or ()), ignore=ignore)
        found = arguments(arrays, facts, "penultimate")
        if found["predictions"] is None:
            rows = found["features"]
            found["predictions"] = head_predictions(rows, len(found["labels"]))
        return cls(**found)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{k} {v.shape[1]}" for k, v in self.features.items())
        model = self.facts.get("model", "saved features")
        data = self.facts.get("data", "data")
        total = self.facts.get("total_valid")
        of = "" if total is None else f" of {total:,}"
        return (
            f"{model} on {data}: {len(self):,}{of} rows from {len(self.image_ids)} "
            f"images ({sizes}); {len(np.unique(self.labels))} classes present"
        )

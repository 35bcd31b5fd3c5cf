"""The arrays of a map, from a network and data sets."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Int

from trfjax.data.dataset import Dataset
from trfjax.features.head import softmax
from trfjax.features.published_maps import FolderMaps
from trfjax.features.stream import stream_maps
from trfjax.maps.inputs import mapped_score, reads_ids
from trfjax.scores.spec import ScoreSpec


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class MapArrays:
    """What `transfer_map` and `pixel_map` take, and what the network predicts."""

    source_features: np.ndarray | None
    source_labels: Int[np.ndarray, "s i j"] | None
    target_features: np.ndarray
    target_labels: Int[np.ndarray, "b h w"]  # -1 where ignored
    predictions: Int[np.ndarray, "b h w"]  # source classes; 0 where ignored
    num_classes: int
    num_source_classes: int

    @property
    def arrays(self) -> tuple[Any, ...]:
        """The four arrays, in order."""
        return (
            self.source_features,
            self.source_labels,
            self.target_features,
            self.target_labels,
        )

    @property
    def settings(self) -> dict[str, int]:
        """The numbers of classes and the label to ignore."""
        return {
            "num_classes": self.num_classes,
            "ignore": -1,
            "num_source_classes": self.num_source_classes,
        }


def map_arrays(
    model: Any,
    target: Dataset,
    *,
    metric: str,
    source_data: Dataset | None = None,
    num_source_classes: int | None = None,
    batch_size: int = 8,
    progress: bool = True,
    **options: Any,
) -> MapArrays:
    """Run a network over data sets in batches; keep what the score reads, as maps.

    What the score reads of every pixel is in memory together, in float32.

    Args:
        model: anything `extract` takes.
        target: labelled images of one size.
        metric: the score.
        source_data: labelled images of the source, of one size, for a score that
            looks at them.
        num_source_classes: of the source; by default the classes of its data, or the
            highest prediction.
        batch_size: images at a time.
        progress: show a bar on a terminal.
        **options: of `stream_maps`.

    Raises:
        ValueError: a score that cannot be mapped or needs source data, images of
            different sizes.
    """
    spec = mapped_score(metric, pixels=False)
    if spec.two_sided and source_data is None:
        raise ValueError(f"source_data: {metric!r} looks at source pixels; pass some")
    options = {"batch_size": batch_size, "progress": progress, **options}
    features, labels, predictions = _maps(spec, model, target, **options)
    source: tuple[Any, Any] = (None, None)
    if spec.two_sided and source_data is not None:
        source = _maps(spec, model, source_data, **options)[:2]
        num_source_classes = source_data.num_classes
    if num_source_classes is None:
        num_source_classes = int(predictions.max()) + 1
    return MapArrays(
        source_features=source[0],
        source_labels=source[1],
        target_features=features,
        target_labels=labels,
        predictions=predictions,
        num_classes=target.num_classes,
        num_source_classes=num_source_classes,
    )


def folder_arrays(source: FolderMaps, target: FolderMaps, *, metric: str) -> MapArrays:
    """Return the arrays of a map from logits of both sides, without a network.

    Scores of penultimate features get the logits, which is all there is.

    Args:
        source: of the source images.
        target: of the target images.
        metric: the score.

    Raises:
        ValueError: a score that cannot be mapped.
    """
    spec = mapped_score(metric, pixels=False)
    shown = softmax if spec.space == "probs" else np.asarray
    predictions = target.logits.argmax(axis=-1)
    highest = int(source.labels.max()) + 1
    return MapArrays(
        source_features=shown(source.logits) if spec.two_sided else None,
        source_labels=source.labels if spec.two_sided else None,
        target_features=predictions if reads_ids(spec) else shown(target.logits),
        target_labels=target.labels,
        predictions=predictions,
        num_classes=int(target.labels.max()) + 1,
        num_source_classes=max(highest, target.logits.shape[-1]),
    )


def _maps(
    spec: ScoreSpec, model: Any, data: Dataset, **options: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what the score reads, labels and predictions of all images."""
    features: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    predictions: list[np.ndarray] = []
    for rows in stream_maps(model, data, spaces=(spec.space,), **options):
        truth = np.asarray(data[rows.image]["label"])
        if truth.ndim != 2:
            raise ValueError(f"{data.name}: has no label maps, so there is no map")
        if labels and truth.shape != labels[0].shape:
            raise ValueError(
                f"{data.name}: images of {labels[0].shape} and {truth.shape} pixels; "
                "maps need one size: load the data set with size="
            )
        valid = truth != data.ignore
        predictions.append(_placed(rows.predictions, valid))
        labels.append(np.where(valid, truth, -1).astype(np.int32))
        values = rows.predictions if reads_ids(spec) else rows.features[spec.space]
        features.append(_placed(values, valid))
    return np.stack(features), np.stack(labels), np.stack(predictions)


def _placed(rows: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Put the rows of the valid pixels where they belong; 0 elsewhere."""
    placed = np.zeros((*valid.shape, *rows.shape[1:]), rows.dtype)
    placed[valid] = rows
    return placed

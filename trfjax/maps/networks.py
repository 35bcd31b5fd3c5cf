"""The arrays of a map, from a network and data sets."""

from __future__ import annotations

import dataclasses
import math
import tempfile
from typing import Any

import numpy as np
from jaxtyping import Int

from trfjax.data.dataset import Dataset
from trfjax.features.head import softmax
from trfjax.features.published_maps import FolderMaps
from trfjax.features.stream import stream_maps
from trfjax.maps.inputs import mapped_score, reads_ids
from trfjax.scores.spec import ScoreSpec

MEMORY = 2**31  # bytes of features that are kept in memory


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class MapArrays:
    """The arguments of `transfer_map` and `pixel_map`, and the predictions."""

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
    memory: int = MEMORY,
    **options: Any,
) -> MapArrays:
    """Run a network over data sets in batches; keep what the score reads, as maps.

    What the score reads of every pixel is kept in float32: in memory, or in a
    temporary file that is mapped into memory where it is larger than `memory`.
    `transfer_map` and `pixel_map` read such arrays a row of cells, or an image, at a
    time. The file is where `tempfile` puts it (the variable TMPDIR says where).

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
        memory: bytes of one side that are kept in memory at most.
        **options: of `stream_maps`.

    Raises:
        ValueError: a score that cannot be mapped or needs source data, images of
            different sizes.
    """
    spec = mapped_score(metric, pixels=False)
    if spec.two_sided and source_data is None:
        raise ValueError(f"source_data: {metric!r} looks at source pixels; pass some")
    options = {"batch_size": batch_size, "progress": progress, **options}
    options["memory"] = memory
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
    spec: ScoreSpec, model: Any, data: Dataset, memory: int, **options: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what the score reads, labels and predictions of all images."""
    found: list[np.ndarray] = []
    for rows in stream_maps(model, data, spaces=(spec.space,), **options):
        truth = np.asarray(data[rows.image]["label"])
        if truth.ndim != 2:
            raise ValueError(f"{data.name}: has no label maps, so there is no map")
        if found and truth.shape != found[1].shape[1:]:
            raise ValueError(
                f"{data.name}: images of {found[1].shape[1:]} and {truth.shape} "
                "pixels; maps need one size: load the data set with size="
            )
        valid = truth != data.ignore
        values = rows.predictions if reads_ids(spec) else rows.features[spec.space]
        images = values, rows.labels, rows.predictions
        if not found:
            found = [
                _room((len(data), *truth.shape, *part.shape[1:]), part.dtype, memory)
                for part in images
            ]
            found[1][:] = -1
        for place, part in zip(found, images, strict=True):
            place[rows.image][valid] = part
    values, labels, predictions = found
    return values, labels, predictions


def _room(shape: tuple[int, ...], dtype: np.dtype, memory: int) -> np.ndarray:
    """Return zeros, in a file without a name where memory would not hold them.

    The system takes the file away with the process, or as soon as nothing reads it.
    """
    if math.prod(shape) * dtype.itemsize <= memory:
        return np.zeros(shape, dtype)
    with tempfile.TemporaryFile() as opened:
        return np.memmap(opened, dtype, "w+", shape=shape)

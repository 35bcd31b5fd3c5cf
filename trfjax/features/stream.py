"""All valid pixels of one image after the other, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from trfjax.data.dataset import Dataset
from trfjax.features.forward import check_finite, forward, values_of_image
from trfjax.features.predictor import Predictor, as_predictor
from trfjax.features.request import checked_spaces


class ImageRows(NamedTuple):
    """All valid pixels of one image."""

    features: dict[str, np.ndarray]  # space -> (valid pixels, d) float32
    labels: np.ndarray  # (valid pixels,) int32
    predictions: np.ndarray  # (valid pixels,) int32 arg-max of the source head
    image: int  # index in the data set


def stream_maps(
    model: Any,
    dataset: Dataset,
    *,
    spaces: Sequence[str] = ("probs",),
    batch_size: int = 8,
    progress: bool = True,
    **options: Any,
) -> Iterator[ImageRows]:
    """Yield all valid pixels of one image after the other, at label resolution.

    Args:
        model: anything `as_predictor` takes.
        dataset: labelled images.
        spaces: features to keep: `probs`, `logits`, `penultimate`, `levels`.
        batch_size: images at a time; halved when memory runs out.
        progress: show a bar on a terminal.
        **options: of `as_predictor`.

    Yields:
        Features, labels and predictions of the pixels that are not ignored; arrays of
        no rows where all are.

    Raises:
        TypeError, ValueError: settings, images, labels or output that cannot be used.
    """
    spaces = checked_spaces(dataset, spaces, batch_size)
    predictor = as_predictor(model, **options)
    return stream(predictor, dataset, spaces, batch_size, progress)


def stream(
    predictor: Predictor,
    dataset: Dataset,
    spaces: tuple[str, ...],
    batch_size: int,
    progress: bool,
) -> Iterator[ImageRows]:
    """Yield what `stream_maps` yields, of what is checked already."""
    batches = forward(
        predictor,
        dataset,
        range(len(dataset)),
        spaces=spaces,
        batch_size=batch_size,
        progress=progress,
    )
    for batch in batches:
        for place, index in enumerate(batch.indices):
            label = batch.labels[place]
            valid = label != dataset.ignore
            values = values_of_image(batch.maps, place, valid, spaces)
            labels = label[valid].astype(np.int32)
            check_finite(predictor, dataset, values, np.full(len(labels), index))
            yield ImageRows(values.features, labels, values.predictions, index)

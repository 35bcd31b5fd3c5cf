"""What is run on what: the checks and the provenance of an extraction."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from trfjax.data.dataset import Dataset
from trfjax.features.predictor import Predictor
from trfjax.files import strict
from trfjax.numbers import as_count
from trfjax.typing import FEATURE_SPACES


def origin(predictor: Predictor, dataset: Dataset) -> dict[str, Any]:
    """Return the facts of what is run on what."""
    return {
        "model": predictor.name,
        "weights": predictor.digest,
        "source_class_names": list(predictor.class_names),
        "preprocessing": strict(dataclasses.asdict(predictor.preprocessing)),
        "data": dataset.name,
        "fingerprint": dataset.fingerprint,
    }


def checked_spaces(
    dataset: Dataset, spaces: Sequence[str], batch_size: int
) -> tuple[str, ...]:
    """Return the feature spaces asked for, in the order of `FEATURE_SPACES`.

    Args:
        dataset: what they are wanted of.
        spaces: their names.
        batch_size: images at a time.

    Raises:
        TypeError, ValueError: unknown spaces or none, no image, a batch size below 1.
    """
    wrong = [space for space in spaces if space not in FEATURE_SPACES]
    if wrong or not spaces or isinstance(spaces, str):
        raise ValueError(
            f"spaces: {spaces!r}; expected some of {', '.join(FEATURE_SPACES)}, "
            "as a tuple"
        )
    as_count("batch_size", batch_size)
    if not len(dataset):
        raise ValueError(f"dataset: {dataset.name} has no image")
    return tuple(space for space in FEATURE_SPACES if space in spaces)


def with_their_labels(
    predictor: Predictor, dataset: Dataset, spaces: Sequence[str], batch_size: int
) -> Dataset:
    """Return images without labels as the network sees them: a map, or one class each.

    Nobody has said which; the network's output for the first image does.

    Args:
        predictor: the network.
        dataset: labelled images come back as they are.
        spaces: the feature spaces wanted.
        batch_size: images at a time, so that the program is compiled once.
    """
    if dataset.labelled or dataset[0]["label"].ndim == 0:
        return dataset
    image = predictor.prepare([dataset[0]["image"]])
    images = np.repeat(image, min(batch_size, len(dataset)), axis=0)
    maps = predictor.maps(images, spaces)
    head = maps["logits"] if "logits" in maps else maps["probs"]
    if head.shape[1:3] != (1, 1):
        return dataset
    return dataset.map(
        lambda image, _: (image, np.zeros((), np.int32)), tag="one label"
    )

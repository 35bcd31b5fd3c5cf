"""What is run on what: the checks and the provenance of an extraction."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

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

"""Trained networks in one file, checked when they are read."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import PyTree

from trfjax.data.images import MAX_PIXELS
from trfjax.errors import DataError
from trfjax.files import read_arrays, write_arrays
from trfjax.models import abstract_model
from trfjax.reading import converted
from trfjax.state import ModelCard, SourceModel, TrainedModel
from trfjax.trees import flatten, unflatten

FORMAT = 2  # of the metadata
MAX_CONFIG = 2**20  # of a number in the configuration of a network


def save_model(path: str | Path, trained: TrainedModel) -> None:
    """Write a trained network to one `.safetensors` file, atomically.

    Raises:
        ValueError: when the card's architecture and configuration do not describe
            the network, so that it could not be read again.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"models are saved as .safetensors, got {path.name!r}")
    model, card = trained.model, trained.card
    params, stats, graphdef = abstract_model(card.architecture, **card.config)
    if graphdef != model.graphdef or _shapes((params, stats)) != _shapes(
        (model.params, model.stats)
    ):
        raise ValueError(
            f"the card says {card.architecture!r} with {card.config}, which is "
            "another network than this one: a saved card must hold the arguments "
            "given to create_model"
        )
    arrays = {name: np.asarray(leaf) for name, leaf in _arrays(model).items()}
    write_arrays(path, arrays, {"format": FORMAT, "card": dataclasses.asdict(card)})


def load_model(path: str | Path) -> TrainedModel:
    """Read what `save_model` wrote.

    Raises:
        DataError: when the file is damaged, or not a network this version knows.
    """
    arrays, metadata = read_arrays(path)
    card = _card(path, metadata)
    try:
        params, stats, graphdef = abstract_model(card.architecture, **card.config)
    except (TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise DataError(
            path, f"its network cannot be built here ({error}). Train it again."
        ) from error
    try:
        parts = unflatten({"params": params, "stats": stats}, arrays)
    except ValueError as error:
        raise DataError(
            path,
            f"does not fit {card.architecture!r}: {error}. It was written by another "
            "version; train the network again.",
        ) from error
    model = SourceModel(parts["params"], parts["stats"], graphdef)
    return TrainedModel(model, card)


def _arrays(model: SourceModel) -> dict[str, Any]:
    return flatten({"params": model.params, "stats": model.stats})


def _shapes(tree: PyTree) -> dict[str, tuple[int, ...]]:
    return {path: leaf.shape for path, leaf in flatten(tree).items()}


def _card(path: str | Path, metadata: Mapping[str, Any]) -> ModelCard:
    if not {"format", "card"} <= set(metadata):
        raise DataError(
            path,
            "holds arrays but no model card, so it was not written by save_model. "
            "Read weights of other code with trfjax.models.convert.",
        )
    if metadata["format"] != FORMAT:
        raise DataError(
            path,
            f"has format {metadata['format']}, this version reads {FORMAT}. "
            "Upgrade trfjax.",
        )
    known = {field.name for field in dataclasses.fields(ModelCard)}
    stored = converted(path, metadata["card"], dict[str, Any])
    if unknown := sorted(set(stored) - known):
        raise DataError(path, f"its card is damaged (unknown: {unknown[:3]})")
    card = converted(path, stored, ModelCard)
    _check_card(path, card)
    return dataclasses.replace(card, config=_tuples(card.config))


def _check_card(path: str | Path, card: ModelCard) -> None:
    """Refuse values that no network has, before anything is built of them."""
    height, width = card.input_size
    sizes = [value for value in card.config.values() if type(value) is int]
    if min(height, width) < 1 or height * width > MAX_PIXELS:
        problem = f"input_size {card.input_size} is no size of an image"
    elif len(card.mean) != len(card.std) or not all(x > 0 for x in card.std):
        problem = f"mean {card.mean} and std {card.std} are no normalisation"
    elif any(abs(value) > MAX_CONFIG for value in sizes):
        problem = f"config {card.config} is of no network"
    else:
        return
    raise DataError(path, f"its card is damaged ({problem}). Copy it again.")


def _tuples(value: Any) -> Any:
    """Undo JSON: lists were tuples."""
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    if isinstance(value, list):
        return tuple(_tuples(item) for item in value)
    return value

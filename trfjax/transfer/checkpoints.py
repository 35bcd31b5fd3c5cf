"""The state of a training run in one file, to go on from later."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from trfjax.data import Dataset
from trfjax.errors import DataError
from trfjax.files import digest, read_arrays, strict, write_arrays
from trfjax.state import ModelCard
from trfjax.transfer.loop import TrainState
from trfjax.transfer.recipe import Recipe, leaf_path

FORMAT = 1


def save_state(
    path: str | Path,
    state: TrainState,
    *,
    recipe: Recipe,
    card: ModelCard,
    dataset: Dataset,
    losses: Sequence[float],
) -> None:
    """Write a training state and what it belongs to, atomically.

    Raises:
        ValueError: a file name that does not end in `.safetensors`.
    """
    check_suffix(path)
    # A number is stored as a vector of one, which is what the file format gives back.
    arrays = {name: np.atleast_1d(leaf) for name, leaf in _flatten(state).items()}
    metadata = {
        "training": FORMAT,
        "belongs": _belongs(recipe, card, dataset),
        "losses": list(losses),
        "digest": _digest(arrays),
    }
    write_arrays(path, arrays, metadata)


def load_state(
    path: str | Path,
    template: TrainState,
    *,
    recipe: Recipe,
    card: ModelCard,
    dataset: Dataset,
) -> tuple[TrainState, list[float]]:
    """Read what `save_state` wrote into a state of the template's structure.

    Returns:
        The state, bit for bit, and the losses of the steps done.

    Raises:
        DataError: a damaged file, or one of another recipe, network or data set.
    """
    arrays, metadata = read_arrays(path)
    if not {"training", "belongs", "losses", "digest"} <= set(metadata):
        raise DataError(path, "is no training checkpoint; it cannot be resumed.")
    if metadata["training"] != FORMAT:
        raise DataError(
            path,
            f"has format {metadata['training']}, this version reads {FORMAT}. "
            "Train again without resume.",
        )
    _check_belongs(path, metadata["belongs"], _belongs(recipe, card, dataset))
    if _digest(arrays) != metadata["digest"]:
        raise DataError(path, "damaged: its arrays are not those saved. Copy it again.")
    return _unflatten(path, template, arrays), [float(x) for x in metadata["losses"]]


def check_suffix(path: str | Path) -> None:
    """Refuse a file name that the reader would not accept."""
    if Path(path).suffix != ".safetensors":
        raise ValueError(
            f"checkpoint: {Path(path).name!r} must end in .safetensors, the format "
            "it is written in"
        )


def _belongs(recipe: Recipe, card: ModelCard, dataset: Dataset) -> dict[str, Any]:
    """Return what must be the same for a run to go on."""
    facts = {
        **{f"recipe.{key}": item for key, item in recipe.to_dict().items()},
        **{f"card.{key}": item for key, item in dataclasses.asdict(card).items()},
        "data": dataset.fingerprint,
        "images": len(dataset),
    }
    return json.loads(json.dumps(strict(facts)))  # tuples become lists, as in a file


def _check_belongs(path: str | Path, saved: Any, now: Mapping[str, Any]) -> None:
    if not isinstance(saved, dict):
        raise DataError(path, "damaged: it does not say what it belongs to.")
    names = sorted(set(saved) | set(now))
    differ = [name for name in names if saved.get(name) != now.get(name)]
    if differ:
        first = differ[0]
        raise DataError(
            path,
            f"belongs to another run: {first} was {saved.get(first)!r} and is now "
            f"{now.get(first)!r}"
            + (f"; also different: {', '.join(differ[1:])}" if differ[1:] else "")
            + ". Use the same settings and data, or train without resume.",
        )


def _flatten(tree: PyTree) -> dict[str, Any]:
    pairs, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {leaf_path(keys): leaf for keys, leaf in pairs}


def _unflatten(
    path: str | Path, template: PyTree, arrays: Mapping[str, np.ndarray]
) -> PyTree:
    expected = _flatten(template)
    differ = sorted(set(expected) ^ set(arrays))
    if differ:
        raise DataError(
            path,
            f"belongs to another network: {len(differ)} arrays do not match, the "
            f"first is {differ[0]!r}. Train without resume.",
        )
    filled = []
    for name, leaf in expected.items():
        value = arrays[name]
        if value.size != leaf.size or (leaf.ndim and value.shape != leaf.shape):
            raise DataError(
                path,
                f"belongs to another network: {name!r} has shape {value.shape}, "
                f"expected {leaf.shape}. Train without resume.",
            )
        filled.append(jnp.asarray(value.reshape(leaf.shape), leaf.dtype))
    return jax.tree.unflatten(jax.tree.structure(template), filled)


def _digest(arrays: Mapping[str, np.ndarray]) -> str:
    return digest(*(part for name in sorted(arrays) for part in (name, arrays[name])))

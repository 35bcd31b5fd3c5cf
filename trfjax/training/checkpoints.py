"""The state of a training run in one file, to go on from later."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import PyTree

from trfjax.data import Dataset
from trfjax.errors import DataError
from trfjax.files import read_arrays, strict, write_arrays
from trfjax.state import ModelCard
from trfjax.training.recipe import Recipe
from trfjax.training.step import State
from trfjax.trees import arrays_digest, flatten, unflatten

FORMAT = 2


def save_state(
    path: str | Path,
    state: State,
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
    belongs = belongs_to(recipe, card, dataset)
    write_checkpoint(path, state, belongs=belongs, curves={"losses": list(losses)})


def write_checkpoint(
    path: str | Path,
    state: PyTree,
    *,
    belongs: Mapping[str, Any],
    curves: Mapping[str, Any],
) -> None:
    """Write a tree of arrays, what it belongs to and its curves, atomically.

    Raises:
        ValueError: a file name that does not end in `.safetensors`.
    """
    check_suffix(path)
    # A number is stored as a vector of one, which is what the file format gives back.
    arrays = {name: np.atleast_1d(leaf) for name, leaf in flatten(state).items()}
    metadata = {
        "training": FORMAT,
        "belongs": belongs,
        **curves,
        "digest": arrays_digest(arrays),
    }
    write_arrays(path, arrays, metadata)


def load_state(
    path: str | Path,
    template: State,
    *,
    recipe: Recipe,
    card: ModelCard,
    dataset: Dataset,
) -> tuple[State, list[float]]:
    """Read what `save_state` wrote into a state of the template's structure.

    A recipe of more steps than before extends the run: the learning rate goes on
    where the new schedule is at that step.

    Returns:
        The state, bit for bit, and the losses of the steps done.

    Raises:
        DataError: a damaged file, or one of another recipe, network or data set.
    """
    belongs = belongs_to(recipe, card, dataset)
    state, metadata = read_checkpoint(path, template, belongs=belongs, needs="losses")
    return state, [float(x) for x in metadata["losses"]]


def read_checkpoint(
    path: str | Path, template: Any, *, belongs: Mapping[str, Any], needs: str
) -> tuple[Any, dict[str, Any]]:
    """Read what `write_checkpoint` wrote into a tree of the template's structure.

    Args:
        path: the file.
        template: a tree of the same structure.
        belongs: what must be the same; more steps of a recipe are not.
        needs: the name of a curve that must be there.

    Returns:
        The tree, bit for bit, and the metadata with the curves.

    Raises:
        DataError: a damaged file, or one of another run.
    """
    arrays, metadata = read_arrays(path)
    if not {"training", "belongs", needs, "digest"} <= set(metadata):
        raise DataError(path, "is no training checkpoint; it cannot be resumed.")
    if metadata["training"] != FORMAT:
        raise DataError(
            path,
            f"has format {metadata['training']}, this version reads {FORMAT}. "
            "Train again without resume.",
        )
    _check_belongs(path, metadata["belongs"], belongs)
    if arrays_digest(arrays) != metadata["digest"]:
        raise DataError(path, "damaged: its arrays are not those saved. Copy it again.")
    try:
        state = unflatten(template, arrays)
    except ValueError as error:
        raise DataError(
            path, f"belongs to another network: {error}. Train without resume."
        ) from error
    return state, metadata


def check_suffix(path: str | Path) -> None:
    """Refuse a file name that the reader would not accept."""
    if Path(path).suffix != ".safetensors":
        raise ValueError(
            f"checkpoint: {Path(path).name!r} must end in .safetensors, the format "
            "it is written in"
        )


def belongs_to(recipe: Recipe, card: ModelCard, dataset: Dataset) -> dict[str, Any]:
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
    steps = "recipe.steps"
    if isinstance(saved.get(steps), int) and saved[steps] < now[steps]:
        names.remove(steps)  # a run may be extended
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

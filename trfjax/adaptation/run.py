"""The loop of adaptation: rounds, steps, and the batches of both domains."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import jax
import numpy as np

from trfjax.adaptation.look import glances
from trfjax.adaptation.method import NETWORK, Method, Pair
from trfjax.data import Dataset, batch_indices
from trfjax.state import SourceModel, TrainedModel
from trfjax.training.loop import (
    DivergedError,
    blank_batch,
    class_weights_of,
    read_batches,
)
from trfjax.training.recipe import Recipe
from trfjax.training.step import State, Update, step
from trfjax.training.supervised import Batch
from trfjax.typing import IGNORE

TARGET_SEED = 2**20  # added to the seed, so that the domains are not drawn in step


def follow(
    state: State,
    update: Update,
    method: Method,
    source: TrainedModel,
    data: tuple[Dataset, Dataset],
    recipe: Recipe,
) -> Iterator[tuple[State, dict[str, float]]]:
    """Yield the state and what was seen after each step that is still to do.

    A step depends on its number, the seed and the state alone.

    Args:
        state: where the run stands.
        update: what `compose` made of the method.
        method: for its rounds.
        source: the network before adaptation, with its card.
        data: source and target; the labels of the target are not used.
        recipe: how many steps, of which batches.

    Raises:
        DivergedError: a loss or gradient that is not finite.
    """
    done, key = int(state.step), jax.random.key(recipe.seed)
    graphdef, target = source.model.graphdef, data[1]
    starts = round_starts(method, recipe.steps)
    for number, batch in enumerate(batches(source, data, recipe, done), done):
        if number in starts:
            model = SourceModel(state.params[NETWORK], state.stats, graphdef)

            def looks(model: SourceModel = model):
                return glances(model, source.card, target)

            memory = method.round(starts.index(number), state, looks)
            state = dataclasses.replace(state, memory=memory)
        state, seen, fine = step(state, batch, key, update=update)
        if not fine:
            kept = SourceModel(state.params[NETWORK], state.stats, graphdef)
            raise DivergedError(TrainedModel(kept, source.card), int(state.step) + 1)
        yield state, {name: float(value) for name, value in seen.items()}


def round_starts(method: Method, steps: int) -> list[int]:
    """Return the steps before which a round begins, from 0."""
    return [round_ * steps // method.rounds for round_ in range(method.rounds)]


def batches(
    source: TrainedModel, data: tuple[Dataset, Dataset], recipe: Recipe, done: int
) -> Iterator[Pair]:
    """Yield the images of the remaining steps; those of the target lose their labels.

    Args:
        source: says how images are normalised.
        data: source and target.
        recipe: how many images a step, and the seed.
        done: steps that are left out.
    """
    weights = class_weights_of(data[0], recipe)
    sides = (
        _side(data[0], blank_batch(data[0], source.card, weights), recipe, done, 0),
        _side(
            data[1],
            dataclasses.replace(
                blank_batch(data[1], source.card, None), ignore=np.int32(IGNORE)
            ),
            recipe,
            done,
            TARGET_SEED,
        ),
    )
    for labelled, unlabelled in zip(*sides, strict=True):
        hidden = np.full_like(unlabelled.labels, IGNORE)
        yield Pair(labelled, dataclasses.replace(unlabelled, labels=hidden))


def _side(
    dataset: Dataset, blank: Batch, recipe: Recipe, done: int, shift: int
) -> Iterator[Batch]:
    chosen = [
        batch_indices(len(dataset), recipe.batch_size, n, seed=recipe.seed + shift)
        for n in range(done, recipe.steps)
    ]
    for images, labels in read_batches(dataset, chosen):
        yield dataclasses.replace(blank, images=images, labels=labels)

"""Train several networks of one architecture on data of their own, in one program."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from tqdm import tqdm

from trfjax.data import Dataset, batch_indices, stack
from trfjax.state import ModelCard, SourceModel, TrainedModel
from trfjax.training.evaluate import align, check_labels, evaluate
from trfjax.training.loop import blank_batch, class_weights_of, start
from trfjax.training.many_step import (
    ORDERS,
    Program,
    chosen_order,
    many_step,
    part_of,
    stacked,
)
from trfjax.training.recipe import Recipe
from trfjax.training.step import State
from trfjax.training.supervised import Batch, supervised
from trfjax.training.train import TrainResult, check_fit

log = logging.getLogger("trfjax")

OnStep = Callable[[int, list[float]], Any]


@dataclasses.dataclass(frozen=True, eq=False)
class ManyResult:
    """The result of `train_many`, in the order of the sources."""

    results: tuple[TrainResult, ...]  # a diverged one holds its last good network
    diverged: tuple[int | None, ...]  # the step that was not finite, from 1


def train_many(
    models: Sequence[SourceModel],
    datasets: Sequence[Dataset],
    *,
    cards: Sequence[ModelCard],
    recipe: Recipe | None = None,
    seeds: Sequence[int] | None = None,
    order: str = "auto",
    evaluate_on: Sequence[Dataset] | None = None,
    progress: bool = True,
    on_step: OnStep | None = None,
) -> ManyResult:
    """Train networks of one architecture, each on a domain of its own.

    Source `i` gets the numbers of `train(models[i], datasets[i], card=cards[i],
    recipe=recipe)`, up to rounding. One step of all sources is one jitted program. On
    an accelerator they run side by side (`vmap`). On a CPU they follow one another,
    written out (`unrolled`): convolutions with a kernel per source are slow there, and
    so are convolutions inside the loop of `lax.map`.

    A source whose loss or gradient is not finite keeps its last good network; the
    others go on. Nothing is written on the way: for long runs, `train` has checkpoints.

    Args:
        models: networks of one structure, with weights of their own.
        datasets: labelled images, all of one size; held in memory. Their numbers may
            differ.
        cards: class names and normalisation of every network.
        recipe: how to train all of them; `Recipe()` by default.
        seeds: one per source, in the place of the recipe's.
        order: `unrolled` compiles the step once per source, `map` once for all but
            one after another (for an accelerator that is short of memory), `vmap` runs
            them side by side; `auto` chooses by the device.
        evaluate_on: data to evaluate every result on, one set per source.
        progress: show a bar on standard error.
        on_step: called after each step with its number, from 1, and the losses of all
            sources; NaN for one that has diverged.

    Returns:
        The networks, in the order of the models, with their losses and evaluations.

    Raises:
        ValueError: sources of different structure, image size or number, or settings
            and data that do not fit the networks.
    """
    recipe = recipe or Recipe()
    names = [card.name for card in cards]
    seeds = [recipe.seed] * len(models) if seeds is None else list(seeds)
    _check(models, datasets, cards, seeds, order, evaluate_on)
    datasets = [
        align(data, card.class_names)
        for data, card in zip(datasets, cards, strict=True)
    ]
    for model, card, data in zip(models, cards, datasets, strict=True):
        check_fit(model, card, data)
    held = [_held(data) for data in datasets]
    _check_size(names, [images.shape[1:] for images, _ in held])
    weights = [class_weights_of(data, recipe) for data in datasets]
    blanks = map(blank_batch, datasets, cards, weights)
    last, losses, diverged = _follow(
        stacked([start(model, recipe) for model in models]),
        _batches(held, stacked(list(blanks)), seeds, recipe),
        jnp.stack([jax.random.key(seed) for seed in seeds]),
        program=Program(supervised(models[0].graphdef, recipe), chosen_order(order)),
        bar=tqdm(
            total=recipe.steps,
            desc=f"train {len(models)} sources",
            disable=not progress,
        ),
        names=names,
        on_step=on_step,
    )
    results = []
    for i, card in enumerate(cards):
        state = part_of(last, i)
        model = SourceModel(state.params, state.stats, models[i].graphdef)
        test = evaluate(model, card, evaluate_on[i]) if evaluate_on else None
        trained = TrainedModel(model, card)
        results.append(TrainResult(trained, {"loss": losses[i]}, test))
    return ManyResult(tuple(results), tuple(diverged))


def _follow(
    states: State,
    batches: Iterator[Batch],
    keys: Array,
    *,
    program: Program,
    bar: tqdm,
    names: Sequence[str],
    on_step: OnStep | None,
) -> tuple[State, list[list[float]], list[int | None]]:
    """Do all steps; return the last states, the losses, and who failed when."""
    losses: list[list[float]] = [[] for _ in names]
    diverged: list[int | None] = [None for _ in names]
    alive = np.ones(len(names), bool)
    with bar:
        for number, batch in enumerate(batches, 1):
            states, values, fine = many_step(
                states, alive, batch, keys, program=program
            )
            values, fine = np.asarray(values), np.asarray(fine)
            for i in np.flatnonzero(alive & ~fine).tolist():
                diverged[i] = number
                log.warning(
                    "%s: the loss or its gradient is not finite at step %d; its last "
                    "good network is kept. Lower the learning rate, or look for "
                    "damaged images.",
                    *(names[i], number),
                )
            alive = fine
            if not alive.any():
                break
            for i in np.flatnonzero(alive).tolist():
                losses[i].append(float(values[i]))
            bar.set_postfix(loss=f"{values[alive].mean():.3f}", refresh=False)
            bar.update()
            if on_step is not None:
                on_step(number, np.where(alive, values, np.nan).tolist())
    return states, losses, diverged


def _held(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    images, labels = stack(dataset)
    check_labels(dataset, labels)
    return images, labels


def _batches(
    held: Sequence[tuple[np.ndarray, np.ndarray]],
    blank: Batch,
    seeds: Sequence[int],
    recipe: Recipe,
) -> Iterator[Batch]:
    """Yield the batches of every step, stacked over the sources."""
    for number in range(recipe.steps):
        drawn = []
        for (images, labels), seed in zip(held, seeds, strict=True):
            chosen = batch_indices(len(images), recipe.batch_size, number, seed=seed)
            drawn.append((images[chosen], labels[chosen]))
        images, labels = (np.stack(part) for part in zip(*drawn, strict=True))
        yield dataclasses.replace(blank, images=images, labels=labels)


def _check(
    models: Sequence[SourceModel],
    datasets: Sequence[Dataset],
    cards: Sequence[ModelCard],
    seeds: Sequence[int],
    order: str,
    evaluate_on: Sequence[Dataset] | None,
) -> None:
    given = {"models": models, "datasets": datasets, "cards": cards, "seeds": seeds}
    if evaluate_on is not None:
        given["evaluate_on"] = evaluate_on
    lengths = {name: len(items) for name, items in given.items()}
    if len(set(lengths.values())) > 1 or not models:
        raise ValueError(f"one of each per source is needed, got {lengths}")
    if order not in ORDERS:
        raise ValueError(f"unknown order {order!r}; available: {', '.join(ORDERS)}")
    first = _shapes(models[0])
    for card, model in zip(cards, models, strict=True):
        if _shapes(model) != first:
            raise ValueError(
                f"models: {card.name} differs in structure from {cards[0].name}. All "
                "need one architecture, width and number of classes; train the others "
                "with a call of their own."
            )


def _shapes(model: SourceModel) -> tuple[Any, ...]:
    leaves, structure = jax.tree.flatten(model)
    return structure, tuple((leaf.shape, leaf.dtype) for leaf in leaves)


def _check_size(names: Sequence[str], shapes: Sequence[tuple[int, ...]]) -> None:
    for name, shape in zip(names, shapes, strict=True):
        if shape != shapes[0]:
            raise ValueError(
                f"datasets: the images of {name} are {shape}, those of {names[0]} "
                f"{shapes[0]}; load both with one size=(height, width)"
            )

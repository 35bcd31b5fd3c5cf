"""Train several networks of one architecture on data of their own, in one program."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from tqdm import tqdm

from trfjax.data import Dataset, batch_indices, stack
from trfjax.state import ModelCard, SourceModel, TrainedModel
from trfjax.training.evaluate import align, check_labels, evaluate, normalisation
from trfjax.training.loop import TrainState, class_weights_of, start, train_step
from trfjax.training.recipe import Recipe
from trfjax.training.train import TrainResult, check_fit

log = logging.getLogger("trfjax")

ORDERS = ("auto", "unrolled", "map", "vmap")
OnStep = Callable[[int, list[float]], Any]


@dataclasses.dataclass(frozen=True, eq=False)
class ManyResult:
    """What `train_many` returns, in the order of the sources."""

    results: tuple[TrainResult, ...]  # a diverged one holds its last good network
    diverged: tuple[int | None, ...]  # the step that was not finite, from 1


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class _Constants:
    """What stays the same over the steps; one entry per source."""

    scale: Any  # (s, 2, c)
    class_weights: Any  # (s, k)
    ignore: Any  # (s,)
    key: Any  # (s,)


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
    states = [start(model, recipe) for model in models]
    constants = _constants(datasets, cards, seeds, recipe)
    last, losses, diverged = _follow(
        _stack(states), constants, _batches(held, seeds, recipe),
        recipe=dataclasses.replace(recipe, seed=0),
        order=_chosen(order), names=names, progress=progress, on_step=on_step,
    )  # fmt: skip
    results = []
    for i, card in enumerate(cards):
        model = _part(last.model, i)
        test = evaluate(model, card, evaluate_on[i]) if evaluate_on else None
        trained = TrainedModel(model, card)
        results.append(TrainResult(trained, {"loss": losses[i]}, test))
    return ManyResult(tuple(results), tuple(diverged))


def _follow(
    states: TrainState,
    constants: _Constants,
    batches: Iterator[tuple[np.ndarray, np.ndarray]],
    *,
    recipe: Recipe,
    order: str,
    names: Sequence[str],
    progress: bool,
    on_step: OnStep | None,
) -> tuple[TrainState, list[list[float]], list[int | None]]:
    """Do all steps; return the last states, the losses, and who failed when."""
    losses: list[list[float]] = [[] for _ in names]
    diverged: list[int | None] = [None for _ in names]
    alive = np.ones(len(names), bool)
    title = f"train {len(names)} sources"
    with tqdm(total=recipe.steps, desc=title, disable=not progress) as bar:
        for step, (images, labels) in enumerate(batches, 1):
            states, values, fine = many_step(
                states, alive, images, labels, constants,
                recipe=recipe, order=order,
            )  # fmt: skip
            values, fine = np.asarray(values), np.asarray(fine)
            for i in np.flatnonzero(alive & ~fine).tolist():
                diverged[i] = step
                log.warning(
                    "%s: the loss or its gradient is not finite at step %d; its last "
                    "good network is kept. Lower the learning rate, or look for "
                    "damaged images.",
                    *(names[i], step),
                )
            alive = fine
            if not alive.any():
                break
            for i in np.flatnonzero(alive).tolist():
                losses[i].append(float(values[i]))
            bar.set_postfix(loss=f"{values[alive].mean():.3f}", refresh=False)
            bar.update()
            if on_step is not None:
                on_step(step, np.where(alive, values, np.nan).tolist())
    return states, losses, diverged


@jax.jit(static_argnames=("recipe", "order"))
def many_step(
    states: TrainState,
    alive: Bool[Array, " s"],
    images: Array,
    labels: Array,
    constants: _Constants,
    *,
    recipe: Recipe,
    order: str,
) -> tuple[TrainState, Float[Array, " s"], Bool[Array, " s"]]:
    """Do one step of every source that is alive; all arguments are stacked.

    Returns:
        The states, the losses, and which sources are alive after the step.
    """

    def one(given: tuple[Any, ...]) -> tuple[TrainState, Array, Array]:
        state, alive, images, labels, constants = given
        after, loss, fine = train_step(
            state, images, labels, constants.scale, constants.class_weights,
            constants.ignore, constants.key, recipe=recipe, trainable=None,
        )  # fmt: skip
        good = alive & fine
        kept = jax.tree.map(lambda new, old: jnp.where(good, new, old), after, state)
        return kept, loss, good

    given = (states, alive, images, labels, constants)
    if order == "vmap":
        return jax.vmap(one)(given)
    if order == "map":
        return jax.lax.map(one, given)
    return _stack([one(_part(given, i)) for i in range(len(alive))])


def _chosen(order: str) -> str:
    if order != "auto":
        return order
    return "unrolled" if jax.default_backend() == "cpu" else "vmap"


def _constants(
    datasets: Sequence[Dataset],
    cards: Sequence[ModelCard],
    seeds: Sequence[int],
    recipe: Recipe,
) -> _Constants:
    weights = [class_weights_of(data, recipe) for data in datasets]
    return _Constants(
        scale=jnp.stack([normalisation(card) for card in cards]),
        class_weights=jnp.asarray(np.stack(weights), jnp.float32),
        ignore=jnp.asarray([data.ignore for data in datasets], jnp.int32),
        key=jnp.stack([jax.random.key(seed) for seed in seeds]),
    )


def _held(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    images, labels = stack(dataset)
    check_labels(dataset, labels)
    return images, labels


def _batches(
    held: Sequence[tuple[np.ndarray, np.ndarray]], seeds: Sequence[int], recipe: Recipe
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the images and labels of every step, stacked over the sources."""
    for step in range(recipe.steps):
        drawn = []
        for (images, labels), seed in zip(held, seeds, strict=True):
            chosen = batch_indices(len(images), recipe.batch_size, step, seed=seed)
            drawn.append((images[chosen], labels[chosen]))
        yield np.stack([pair[0] for pair in drawn]), np.stack([p[1] for p in drawn])


def _stack(trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def _part(stacked: Any, i: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[i], stacked)


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

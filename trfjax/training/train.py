"""Train a network on a data set, with checkpoints to go on from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
from tqdm import tqdm

from trfjax.data import Dataset
from trfjax.numbers import as_count
from trfjax.state import ModelCard, SourceModel, TrainedModel, apply
from trfjax.training.checkpoints import check_suffix, load_state, save_state
from trfjax.training.evaluate import Evaluation, align, evaluate
from trfjax.training.loop import class_weights_of, run, start
from trfjax.training.recipe import Recipe
from trfjax.training.step import State


@dataclasses.dataclass(frozen=True, eq=False)
class TrainResult:
    """A trained network and how it came about."""

    trained: TrainedModel
    history: dict[str, list[float]]  # "loss": one entry a step
    evaluation: Evaluation | None = None  # on the data given for it


def train(
    model: SourceModel,
    dataset: Dataset,
    *,
    card: ModelCard,
    recipe: Recipe | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    checkpoint_every: int = 100,
    evaluate_on: Dataset | None = None,
    progress: bool = True,
    on_step: Callable[[int, float], Any] | None = None,
) -> TrainResult:
    """Train a network; the given one is left as it is.

    Networks of one architecture, trained with one recipe on images of one size, share
    one compilation; the seed of the recipe may differ.

    Args:
        model: the network to begin with.
        dataset: labelled images of one size; classes are matched to the card by name.
        card: class names and normalisation of the network.
        recipe: how to train; `Recipe()` by default.
        checkpoint: `.safetensors` file for the state of the run, also written when
            the run is interrupted or fails.
        resume: go on from the checkpoint where there is one.
        checkpoint_every: steps between two writings.
        evaluate_on: data to evaluate the result on.
        progress: show a bar on standard error.
        on_step: called after each step with its number, from 1, and its loss.

    Returns:
        The network, its losses by step and, on `evaluate_on`, its evaluation.

    Raises:
        DivergedError: the loss became NaN or infinite; it holds the last good state,
            which is in the checkpoint too.
        DataError: a checkpoint that is damaged or belongs to another run.
        ValueError: settings or data that do not fit the network.
    """
    recipe = recipe or Recipe()
    _check(checkpoint, resume, checkpoint_every)
    dataset = align(dataset, card.class_names)
    check_fit(model, card, dataset)
    state, losses = start(model, recipe), []
    if resume and checkpoint is not None and Path(checkpoint).exists():
        state, losses = load_state(
            checkpoint, state, recipe=recipe, card=card, dataset=dataset
        )

    def save(state: State) -> None:
        if checkpoint is not None:
            save_state(
                checkpoint,
                state,
                recipe=recipe,
                card=card,
                dataset=dataset,
                losses=losses,
            )

    weights = class_weights_of(dataset, recipe)
    steps = run(
        state,
        dataset,
        graphdef=model.graphdef,
        card=card,
        recipe=recipe,
        class_weights=weights,
    )
    bar = tqdm(
        total=recipe.steps,
        initial=len(losses),
        desc=f"train {card.name}",
        disable=not progress,
    )
    saved = len(losses)
    try:
        with bar:
            for state, loss in steps:
                losses.append(loss)
                bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
                bar.update()
                if len(losses) % checkpoint_every == 0:
                    save(state)
                    saved = len(losses)
                if on_step is not None:
                    on_step(len(losses), loss)
    finally:  # also on Ctrl-C and when the loss is no longer finite
        if len(losses) > saved:
            save(state)
    model = SourceModel(state.params, state.stats, model.graphdef)
    evaluation = evaluate(model, card, evaluate_on) if evaluate_on else None
    return TrainResult(TrainedModel(model, card), {"loss": losses}, evaluation)


def check_fit(model: SourceModel, card: ModelCard, dataset: Dataset) -> None:
    """Run the network on the shape of one image, without computing anything.

    Raises:
        ValueError: images the network does not take, or logits of other classes.
    """
    shape = dataset[0]["image"].shape
    if len(card.mean) != shape[-1] or len(card.std) != shape[-1]:
        raise ValueError(
            f"card: mean and std have {len(card.mean)} and {len(card.std)} values, "
            f"the images of {dataset.name} have {shape[-1]} channels"
        )
    batch = jax.ShapeDtypeStruct((2, *shape), "float32")
    logits = jax.eval_shape(lambda m, x: apply(m, x).logits, model, batch)
    if logits.shape[-1] != len(card.class_names):
        raise ValueError(
            f"card: {len(card.class_names)} class names for a network of "
            f"{logits.shape[-1]} classes"
        )
    label = dataset[0]["label"]
    if label.ndim != logits.ndim - 2:
        raise ValueError(
            f"{dataset.name}: labels of shape {label.shape} for a network that "
            f"returns {'a map' if logits.ndim == 4 else 'one vector'} per image"
        )


def _check(checkpoint: str | Path | None, resume: bool, every: int) -> None:
    if checkpoint is not None:
        check_suffix(checkpoint)
    if resume and checkpoint is None:
        raise ValueError("resume: needs checkpoint, the file to go on from")
    as_count("checkpoint_every", every)

"""Fine-tune a source network to a few labelled images of a target."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
from jaxtyping import Float

from trfjax.data import Dataset
from trfjax.state import SourceModel, TrainedModel
from trfjax.training.evaluate import Evaluation, evaluate
from trfjax.training.layers import Rebuild
from trfjax.training.loop import run
from trfjax.training.loop import start as before_training
from trfjax.training.recipe import Recipe
from trfjax.transfer.start import FINETUNE, Finetuning, Head, Start, prepare


@dataclasses.dataclass(frozen=True, eq=False)
class FinetuneResult:
    """A fine-tuned network and its empirical transferability."""

    trained: TrainedModel
    head: Head  # whether the source's last layer was kept or replaced
    curves: dict[str, list[float]]  # "loss" by step; "held_out" at "held_out_step"
    best_step: int  # the step whose network is returned
    missing: tuple[str, ...]  # target classes that no shot shows
    evaluation: Evaluation | None  # on the test set


def finetune(
    source: TrainedModel,
    shots: Dataset,
    *,
    test: Dataset | None = None,
    mode: str = "full",
    recipe: Recipe = FINETUNE,
    head: Literal["auto", "new"] = "auto",
    held_out: float = 0.0,
    evaluate_every: int = 10,
    class_weights: Float[np.ndarray, " k"] | None = None,
    label_weights: Float[np.ndarray, "n ..."] | None = None,
    rebuild: Rebuild | None = None,
) -> FinetuneResult:
    """Fine-tune a network to a few labelled images.

    The source head is kept where it knows every class of the target by name: the
    labels are then translated to its indices. Otherwise the head is replaced. Training
    from scratch is the same call on a fresh network.

    Args:
        source: the network; left as it is.
        shots: the few labelled images.
        test: labelled images to measure the transfer on; never trained on.
        mode: "full", "head", "last-<k>" or "norm"; see `trainable_layers`. A new
            head is trained in every mode.
        recipe: how to train, with the BatchNorm policy, the class weighting and the
            seed (which draws the batches, the augmentation and a new head).
        head: "new" replaces the head even where it could be kept.
        held_out: share of the shots, 0 to 0.5, that is not trained on but chooses the
            best step by its log-likelihood; 0 takes the last step.
        evaluate_every: steps between two looks at the held-out part.
        class_weights: in the order of the resulting network's classes, instead of
            those the recipe asks for.
        label_weights: weight of every label of the shots, in their shape, such as
            `transferability_weights`; 1 by default.
        rebuild: makes a fresh network from a number of classes, for networks in
            which layers of the head read one another; not needed where the card names
            one of `list_models()`.

    Returns:
        The network, its course and, on `test`, its evaluation.

    Raises:
        DivergedError: the loss is no longer finite; it holds the last good state.
        ValueError: shots of a single class, or settings that do not fit.
    """
    settings = Finetuning(
        mode=mode,
        recipe=recipe,
        head=head,
        held_out=held_out,
        evaluate_every=evaluate_every,
        class_weights=class_weights,
        label_weights=label_weights,
        rebuild=rebuild,
    )
    return learn(prepare(source, shots, settings), settings, test=test)


def learn(
    start: Start, settings: Finetuning, *, test: Dataset | None
) -> FinetuneResult:
    """Learn the shots, and measure the result.

    Args:
        start: what `prepare` returned, perhaps with another network.
        settings: the same that it was given.
        test: labelled images to measure the transfer on.
    """
    best, best_step, curves = _follow(start, settings)
    before = f"{start.card.trained_on}, then " if start.card.trained_on else ""
    card = dataclasses.replace(start.card, trained_on=before + start.shots.name)
    return FinetuneResult(
        trained=TrainedModel(best, card),
        head="new" if start.new else "kept",
        curves=curves,
        best_step=best_step,
        missing=start.missing,
        evaluation=None if test is None else evaluate(best, start.card, test),
    )


def _follow(
    start: Start, settings: Finetuning
) -> tuple[SourceModel, int, dict[str, list[float]]]:
    """Train, and keep the network that does best on the held-out images.

    The source as it is takes part in the choice if its head can be trusted.
    """
    card, watched, recipe = start.card, start.watched, settings.recipe
    graphdef = start.model.graphdef
    curves: dict[str, list[float]] = {"loss": []}
    best, best_step, best_value = start.model, 0, -np.inf
    if watched is not None:
        curves |= {"held_out": [], "held_out_step": []}

    def look(candidate: SourceModel, step: int) -> None:
        nonlocal best, best_step, best_value
        if watched is None:
            best, best_step = candidate, step
            return
        value = evaluate(candidate, card, watched).log_likelihood
        curves["held_out"].append(value)
        curves["held_out_step"].append(float(step))
        if value > best_value:
            best, best_step, best_value = candidate, step, value

    if not start.new:
        look(start.model, 0)
    state = before_training(start.model, recipe, trainable=start.layers)
    steps = run(
        state,
        start.shots,
        graphdef=graphdef,
        card=card,
        recipe=recipe,
        trainable=start.layers,
        class_weights=start.class_weights,
        label_weights=start.label_weights,
    )
    for step, (state, loss) in enumerate(steps, 1):
        curves["loss"].append(loss)
        due = watched is not None and step % settings.evaluate_every == 0
        if step == recipe.steps or due:
            look(SourceModel(state.params, state.stats, graphdef), step)
    return best, best_step, curves

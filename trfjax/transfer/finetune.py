"""Fine-tune a source network to a few labelled images of a target."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Literal

import jax
import numpy as np
from jaxtyping import Float

from trfjax.data import Dataset
from trfjax.errors import ScoreWarning
from trfjax.state import ModelCard, SourceModel, TrainedModel
from trfjax.training.evaluate import Evaluation, align, evaluate
from trfjax.training.layers import Rebuild, trainable_layers, with_new_head
from trfjax.training.loop import class_counts, class_weights_of, run
from trfjax.training.loop import start as before_training
from trfjax.training.recipe import Recipe
from trfjax.training.train import check_fit

Head = Literal["kept", "new"]

FINETUNE = Recipe(steps=60, learning_rate=2e-3)  # chosen in docs/few_shot.md


@dataclasses.dataclass(frozen=True, eq=False)
class FinetuneResult:
    """A fine-tuned network and its empirical transferability."""

    trained: TrainedModel
    head: Head  # whether the source's last layer was kept or replaced
    curves: dict[str, list[float]]  # "loss" by step; "held_out" at "held_out_step"
    best_step: int  # the step whose network is returned
    missing: tuple[str, ...]  # target classes that no shot shows
    evaluation: Evaluation | None  # on the test set


@dataclasses.dataclass(frozen=True, eq=False)
class Start:
    """What fine-tuning begins with."""

    model: SourceModel  # with the head it is to have
    card: ModelCard
    new: frozenset[str]  # the layers of a new head
    layers: frozenset[str] | None  # those that move; None: all
    shots: Dataset  # trained on; classes in the order of the card
    watched: Dataset | None  # held out
    class_weights: Float[np.ndarray, " k"]
    label_weights: Float[np.ndarray, "n ..."] | None  # of the labels of `shots`
    missing: tuple[str, ...]


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
            which more than the last layer depends on it.

    Raises:
        DivergedError: the loss is no longer finite; it holds the last good state.
        ValueError: shots of a single class, or settings that do not fit.
    """
    check_settings(head, held_out, evaluate_every)
    start = prepare(
        source, shots, mode=mode, recipe=recipe, head=head, held_out=held_out,
        class_weights=class_weights, label_weights=label_weights, rebuild=rebuild,
    )  # fmt: skip
    return learn(start, recipe, test=test, evaluate_every=evaluate_every)


def prepare(
    source: TrainedModel,
    shots: Dataset,
    *,
    mode: str,
    recipe: Recipe,
    head: str,
    held_out: float,
    class_weights: Float[np.ndarray, " k"] | None,
    label_weights: Float[np.ndarray, "n ..."] | None,
    rebuild: Rebuild | None,
) -> Start:
    """Check what `finetune` is given, before anything is computed."""
    if shots.num_classes < 2:
        raise ValueError(
            f"{shots.name}: it has a single class ({shots.class_names[0]}), so there "
            "is nothing to tell apart; a target needs at least two"
        )
    image = shots[0]["image"].shape
    model, card, new = _with_head(source, shots, head, recipe.seed, rebuild)
    shots = align(shots, card.class_names)
    check_fit(model, card, shots)
    missing = _missing(source, shots, new)
    layers = trainable_layers(model, image, mode, head=new)
    if label_weights is not None:
        _check_label_weights(label_weights, shots)
    part, watched = shots, None
    if held_out:
        part, watched = shots.split(1 - held_out, seed=recipe.seed)
        if label_weights is not None:
            rows = [shots.image_ids.index(name) for name in part.image_ids]
            label_weights = label_weights[rows]
    weights = class_weights_of(part, recipe) if class_weights is None else class_weights
    if len(weights) != len(card.class_names):
        raise ValueError(
            f"class_weights: {len(weights)} for {len(card.class_names)} classes"
        )
    return Start(
        model, card, new, layers, part, watched, weights, label_weights, missing
    )


def learn(
    start: Start, recipe: Recipe, *, test: Dataset | None, evaluate_every: int
) -> FinetuneResult:
    """Learn the shots, and measure the result."""
    best, best_step, curves = _follow(start, recipe, evaluate_every)
    return FinetuneResult(
        trained=TrainedModel(best, start.card),
        head="new" if start.new else "kept",
        curves=curves,
        best_step=best_step,
        missing=start.missing,
        evaluation=None if test is None else evaluate(best, start.card, test),
    )


def _follow(
    start: Start, recipe: Recipe, every: int
) -> tuple[SourceModel, int, dict[str, list[float]]]:
    """Train, and keep the network that does best on the held-out images.

    The source as it is takes part in the choice if its head can be trusted.
    """
    card, watched = start.card, start.watched
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
        state, start.shots, card=card, recipe=recipe, trainable=start.layers,
        class_weights=start.class_weights, label_weights=start.label_weights,
    )  # fmt: skip
    for step, (state, loss) in enumerate(steps, 1):
        curves["loss"].append(loss)
        if step == recipe.steps or (watched is not None and step % every == 0):
            look(state.model, step)
    return best, best_step, curves


def _with_head(
    source: TrainedModel,
    shots: Dataset,
    head: str,
    seed: int,
    rebuild: Rebuild | None,
) -> tuple[SourceModel, ModelCard, frozenset[str]]:
    """Return the network to begin with, its card, and the layers that are new."""
    card = source.card
    known = set(shots.class_names) <= set(card.class_names)
    if head == "auto" and known:
        return source.model, card, frozenset()
    key = jax.random.fold_in(jax.random.key(seed), 1)
    image = shots[0]["image"].shape
    model, new = with_new_head(
        source.model, shots.num_classes, image, rebuild=rebuild, key=key
    )
    config = dict(card.config)
    if "num_classes" in config:
        config["num_classes"] = shots.num_classes
    card = dataclasses.replace(
        card, config=config, class_names=shots.class_names, ignore=shots.ignore
    )
    return model, card, new


def _missing(
    source: TrainedModel, shots: Dataset, new: frozenset[str]
) -> tuple[str, ...]:
    """Return the classes without a shot; a new head cannot know them, so it warns."""
    counts = class_counts(shots)
    if (counts > 0).sum() < 2:
        raise ValueError(
            f"{shots.name}: its {len(shots)} images show fewer than two classes, so "
            "there is nothing to tell apart. Draw more shots or other ones."
        )
    missing = tuple(
        name for name, n in zip(shots.class_names, counts, strict=True) if not n
    )
    if new and missing:
        warnings.warn(
            f"{shots.name}: no image shows {', '.join(missing)}; the new head of "
            f"{source.card.name} will not learn them",
            ScoreWarning,
            stacklevel=4,
        )
    return missing


def _check_label_weights(weights: Float[np.ndarray, "n ..."], shots: Dataset) -> None:
    expected = (len(shots), *np.shape(shots[0]["label"]))
    if weights.shape != expected:
        raise ValueError(
            f"label_weights: shape {weights.shape}, the labels have {expected}"
        )
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
        raise ValueError("label_weights: must be finite, at least 0, and not all 0")


def check_settings(head: str, held_out: float, every: int) -> None:
    """Refuse settings of `finetune` that cannot be."""
    if head not in ("auto", "new"):
        raise ValueError(f"unknown head {head!r}; available: auto, new")
    if not 0 <= held_out <= 0.5:
        raise ValueError(f"held_out: {held_out} is not within 0..0.5")
    if every < 1:
        raise ValueError(f"evaluate_every: {every} must be at least 1")

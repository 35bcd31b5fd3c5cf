"""What fine-tuning begins with: a head, layers that move, shots, and weights."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Literal

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from trfjax.data import Dataset
from trfjax.errors import ScoreWarning
from trfjax.models import create_model, list_models
from trfjax.numbers import as_count, as_real
from trfjax.state import ModelCard, SourceModel, TrainedModel
from trfjax.training.evaluate import align
from trfjax.training.layers import (
    Rebuild,
    has_plain_head,
    trainable_layers,
    with_new_head,
)
from trfjax.training.loop import class_counts, class_weights_of
from trfjax.training.recipe import Recipe
from trfjax.training.train import check_fit

Head = Literal["kept", "new"]

FINETUNE = Recipe(steps=60, learning_rate=2e-3)  # chosen in docs/few_shot.md


@dataclasses.dataclass(frozen=True, eq=False)
class Finetuning:
    """The settings of fine-tuning; see `finetune` for every field."""

    mode: str = "full"
    recipe: Recipe = FINETUNE
    head: str = "auto"
    held_out: float = 0.0
    evaluate_every: int = 10
    class_weights: Float[np.ndarray, " k"] | None = None
    label_weights: Float[np.ndarray, "n ..."] | None = None
    rebuild: Rebuild | None = None

    def __post_init__(self) -> None:
        if self.head not in ("auto", "new"):
            raise ValueError(f"unknown head {self.head!r}; available: auto, new")
        as_real("held_out", self.held_out, least=0, most=0.5)
        as_count("evaluate_every", self.evaluate_every)


@dataclasses.dataclass(frozen=True, eq=False)
class Start:
    """The network and the shots that fine-tuning begins with."""

    model: SourceModel  # with the head it is to have
    card: ModelCard
    new: frozenset[str]  # the layers of a new head
    layers: frozenset[str] | None  # those that move; None: all
    shots: Dataset  # trained on; classes in the order of the card
    watched: Dataset | None  # held out
    class_weights: Float[np.ndarray, " k"]
    label_weights: Float[np.ndarray, "n ..."] | None  # of the labels of `shots`
    missing: tuple[str, ...]  # classes that no shot shows


def prepare(source: TrainedModel, shots: Dataset, settings: Finetuning) -> Start:
    """Check what `finetune` is given, before anything is computed.

    Args:
        source: the network; left as it is.
        shots: the few labelled images.
        settings: how they are to be learned.

    Raises:
        ValueError: shots of a single class, or settings that do not fit them.
    """
    if shots.num_classes < 2:
        raise ValueError(
            f"{shots.name}: it has a single class ({shots.class_names[0]}), so there "
            "is nothing to tell apart; a target needs at least two"
        )
    model, card, new = _with_head(source, shots, settings)
    shots = align(shots, card.class_names)
    check_fit(model, card, shots)
    image = shots[0]["image"].shape
    part, watched, label_weights = _split(shots, settings)
    weights = settings.class_weights
    if weights is None:
        weights = class_weights_of(part, settings.recipe)
    if len(weights) != len(card.class_names):
        raise ValueError(
            f"class_weights: {len(weights)} for {len(card.class_names)} classes"
        )
    return Start(
        model=model,
        card=card,
        new=new,
        layers=trainable_layers(model, image, settings.mode, head=new),
        shots=part,
        watched=watched,
        class_weights=weights,
        label_weights=label_weights,
        missing=_missing(source, shots, new),
    )


def _with_head(
    source: TrainedModel, shots: Dataset, settings: Finetuning
) -> tuple[SourceModel, ModelCard, frozenset[str]]:
    """Return the network to begin with, its card, and the layers that are new."""
    card = source.card
    known = set(shots.class_names) <= set(card.class_names)
    if settings.head == "auto" and known:
        return source.model, card, frozenset()
    key = jax.random.fold_in(jax.random.key(settings.recipe.seed), 1)
    model, new = with_new_head(
        source.model,
        shots.num_classes,
        shots[0]["image"].shape,
        rebuild=settings.rebuild or _from_card(source, key),
        key=key,
    )
    config = dict(card.config)
    if "num_classes" in config:
        config["num_classes"] = shots.num_classes
    card = dataclasses.replace(
        card, config=config, class_names=shots.class_names, ignore=shots.ignore
    )
    return model, card, new


def _from_card(source: TrainedModel, key: PRNGKeyArray) -> Rebuild | None:
    """Return what builds a network of ours anew, where new outputs are not enough."""
    card = source.card
    if card.architecture not in list_models() or has_plain_head(source.model):
        return None

    def rebuild(num_classes: int) -> SourceModel:
        config = {**card.config, "num_classes": num_classes}
        return create_model(card.architecture, **config, key=key)

    return rebuild


def _split(
    shots: Dataset, settings: Finetuning
) -> tuple[Dataset, Dataset | None, Float[np.ndarray, "n ..."] | None]:
    """Return the shots to learn, those held out, and the weights of the former."""
    weights = settings.label_weights
    if weights is not None:
        _check_label_weights(weights, shots)
    if not settings.held_out:
        return shots, None, weights
    part, watched = shots.split(1 - settings.held_out, seed=settings.recipe.seed)
    if weights is not None:
        rows = [shots.image_ids.index(name) for name in part.image_ids]
        weights = weights[rows]
    return part, watched, weights


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

"""The training loop: the step, again and again, and the batches it is fed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float, Int64

from trfjax.data import Dataset, batch_indices, load_batch, prefetch, stack
from trfjax.state import ModelCard, SourceModel, TrainedModel
from trfjax.training.evaluate import check_labels, normalisation
from trfjax.training.recipe import Recipe
from trfjax.training.step import State, begin, step
from trfjax.training.supervised import Batch, supervised

MEMORY = 2**30  # bytes of decoded images up to which a data set is held in memory


class DivergedError(FloatingPointError):
    """The loss is no longer finite; `trained` is the last good network."""

    def __init__(self, trained: TrainedModel, step: int) -> None:
        super().__init__(
            f"the loss or its gradient is not finite at step {step}. Lower the "
            "learning rate, or look for damaged images; the last good network is kept."
        )
        self.trained = trained
        self.step = step


def start(
    model: SourceModel, recipe: Recipe, *, trainable: frozenset[str] | None = None
) -> State:
    """Return the state before the first step.

    Args:
        model: the network to begin with.
        recipe: how it is trained.
        trainable: paths of the layers that move; None: all.
    """
    update = supervised(model.graphdef, recipe, trainable=trainable)
    return begin(model.params, model.stats, update)


def run(
    state: State,
    dataset: Dataset,
    *,
    graphdef: nnx.GraphDef[Any],
    card: ModelCard,
    recipe: Recipe,
    trainable: frozenset[str] | None = None,
    class_weights: Float[np.ndarray, " k"] | None = None,
    label_weights: Float[np.ndarray, "n ..."] | None = None,
) -> Iterator[tuple[State, float]]:
    """Yield the state and the loss after each step that is still to do.

    What a step does depends on its number, the seed and the state alone, so that a
    run taken up again continues as if it had never stopped.

    Args:
        state: where the run stands.
        dataset: labelled images; classes in the order of the card.
        graphdef: structure of the network.
        card: normalisation and number of classes.
        recipe: how to train.
        trainable: paths of the layers that move; None: all.
        class_weights: weight of every class; 1 by default.
        label_weights: weight of every label of the data set, in its order, such as
            `(n, h, w)`; augmented with the labels. 1 by default.

    Raises:
        DivergedError: a loss or gradient that is not finite.
    """
    done, key = int(state.step), jax.random.key(recipe.seed)
    update = supervised(graphdef, recipe, trainable=trainable)
    weights = np.ones(len(card.class_names)) if class_weights is None else class_weights
    for batch in _batches(dataset, card, recipe, done, weights, label_weights):
        state, seen, fine = step(state, batch, key, update=update)
        if not fine:
            kept = SourceModel(state.params, state.stats, graphdef)
            raise DivergedError(TrainedModel(kept, card), int(state.step) + 1)
        yield state, float(seen["loss"])


def class_counts(dataset: Dataset) -> Int64[np.ndarray, " k"]:
    """Count the valid labels of every class; reads the whole data set."""
    counts = np.zeros(dataset.num_classes, np.int64)
    for example in dataset:
        label = np.asarray(example["label"])
        check_labels(dataset, label)
        valid = label[label != dataset.ignore]
        counts += np.bincount(valid, minlength=dataset.num_classes)
    return counts


def class_weights_of(dataset: Dataset, recipe: Recipe) -> Float[np.ndarray, " k"]:
    """Return the weight of every class that the recipe asks for.

    The inverse of the class frequency, or of its root; mean 1 over the valid pixels.
    A class without pixels has weight 0: it never enters the loss.
    """
    if recipe.class_weighting == "none":
        return np.ones(dataset.num_classes)
    counts = class_counts(dataset)
    power = 1.0 if recipe.class_weighting == "balanced" else 0.5
    weights = np.where(counts > 0, np.maximum(counts, 1.0) ** -power, 0.0)
    return weights * counts.sum() / max((weights * counts).sum(), 1e-30)


def blank_batch(
    dataset: Dataset, card: ModelCard, class_weights: Float[np.ndarray, " k"] | None
) -> Batch:
    """Return what the batches of a data set share: all but images and labels.

    Args:
        dataset: says which label is ignored.
        card: says how images are normalised.
        class_weights: weight of every class; None: 1.
    """
    weights = class_weights
    return Batch(
        images=None,
        labels=None,
        ignore=np.int32(dataset.ignore),
        scale=normalisation(card),
        class_weights=None if weights is None else jnp.asarray(weights, jnp.float32),
    )


def _batches(
    dataset: Dataset,
    card: ModelCard,
    recipe: Recipe,
    done: int,
    class_weights: Float[np.ndarray, " k"],
    label_weights: Float[np.ndarray, "n ..."] | None,
) -> Iterator[Batch]:
    """Yield the batches of the remaining steps."""
    blank = blank_batch(dataset, card, class_weights)
    chosen = [
        batch_indices(len(dataset), recipe.batch_size, number, seed=recipe.seed)
        for number in range(done, recipe.steps)
    ]
    read = read_batches(dataset, chosen)
    for rows, (images, labels) in zip(chosen, read, strict=True):
        part = None if label_weights is None else label_weights[rows].astype(np.float32)
        yield dataclasses.replace(
            blank, images=images, labels=labels, label_weights=part
        )


def read_batches(
    dataset: Dataset, chosen: Sequence[np.ndarray]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the images and labels at some positions, from memory where they fit.

    Raises:
        ValueError: a label that is no class.
    """
    if _bytes(dataset) <= MEMORY:
        images, labels = stack(dataset)
        check_labels(dataset, labels)
        return ((images[indices], labels[indices]) for indices in chosen)
    return prefetch(_read(dataset, indices) for indices in chosen)


def _read(dataset: Dataset, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    images, labels = load_batch(dataset, indices)
    check_labels(dataset, labels)
    return images, labels


def _bytes(dataset: Dataset) -> int:
    first = dataset[0]
    return len(dataset) * (first["image"].nbytes + np.asarray(first["label"]).nbytes)

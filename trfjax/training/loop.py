"""The training loop: one jitted step, and the batches it is fed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int64

from trfjax.data import Dataset, batch_indices, load_batch, prefetch, stack
from trfjax.state import ModelCard, SourceModel, TrainedModel, apply, apply_train
from trfjax.training.augment import augment
from trfjax.training.evaluate import check_labels, normalisation
from trfjax.training.losses import cross_entropy, fit_labels
from trfjax.training.recipe import Recipe, optimiser

MEMORY = 2**30  # bytes of decoded images up to which a data set is held in memory


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """What one step changes."""

    model: Any  # SourceModel
    opt_state: Any
    step: Any  # steps done; int32


class DivergedError(FloatingPointError):
    """The loss is no longer finite; `state` is the last that was good.

    `trained` is its network.
    """

    def __init__(self, state: TrainState, card: ModelCard) -> None:
        super().__init__(
            f"the loss or its gradient is not finite at step {int(state.step) + 1}. "
            "Lower the learning rate, or look for damaged images; the last good "
            "network is kept."
        )
        self.state = state
        self.trained = TrainedModel(state.model, card)


def start(
    model: SourceModel, recipe: Recipe, *, trainable: frozenset[str] | None = None
) -> TrainState:
    """Return the state before the first step."""
    settings = dataclasses.replace(recipe, seed=0)
    opt_state = _start(model.params, recipe=settings, trainable=trainable)
    return TrainState(model, opt_state, jnp.zeros((), jnp.int32))


@jax.jit(static_argnames=("recipe", "trainable"))
def _start(params: Any, *, recipe: Recipe, trainable: frozenset[str] | None) -> Any:
    return optimiser(recipe, trainable=trainable).init(params)


def run(
    state: TrainState,
    dataset: Dataset,
    *,
    card: ModelCard,
    recipe: Recipe,
    trainable: frozenset[str] | None = None,
    class_weights: Float[np.ndarray, " k"] | None = None,
    label_weights: Float[np.ndarray, "n ..."] | None = None,
) -> Iterator[tuple[TrainState, float]]:
    """Yield the state and the loss after each step that is still to do.

    What a step does depends on its number, the seed and the state alone, so that a
    run taken up again continues as if it had never stopped.

    Args:
        state: where the run stands.
        dataset: labelled images; classes in the order of the card.
        card: normalisation and number of classes.
        recipe: how to train.
        trainable: paths of the layers that move; None: all.
        class_weights: weight of every class; 1 by default.
        label_weights: weight of every label of the data set, in its order, such as
            `(n, h, w)`; augmented with the labels. 1 by default.

    Raises:
        DivergedError: a loss or gradient that is not finite.
    """
    done = int(state.step)
    key = jax.random.key(recipe.seed)
    settings = dataclasses.replace(recipe, seed=0)  # the seed is not compiled in
    weights = np.ones(len(card.class_names)) if class_weights is None else class_weights
    scale, emphasis = normalisation(card), jnp.asarray(weights, jnp.float32)
    batches = _batches(dataset, recipe, done, label_weights)
    for images, labels, importance in batches:
        after, loss, fine = train_step(
            state,
            images,
            labels,
            scale,
            emphasis,
            np.int32(dataset.ignore),
            key,
            importance,
            recipe=settings,
            trainable=trainable,
        )
        if not fine:
            raise DivergedError(state, card)
        state = after
        yield state, float(loss)


@jax.jit(static_argnames=("recipe", "trainable"))
def train_step(
    state: TrainState,
    images: Array,
    labels: Array,
    scale: Array,
    class_weights: Array,
    ignore: Array,
    key: Array,
    label_weights: Array | None = None,
    *,
    recipe: Recipe,
    trainable: frozenset[str] | None,
) -> tuple[TrainState, Array, Array]:
    """Do one step; networks of one architecture and shape share its compilation.

    Args:
        state: what the step changes.
        images: `(b, h, w, c)` as stored, 0 to 255.
        labels: `(b, h, w)` or `(b,)`.
        scale: mean and standard deviation of images in `[0, 1]`.
        class_weights: `(k,)`.
        ignore: the label that counts for nothing.
        key: of the run; folded with the number of the step.
        label_weights: in the shape of the labels; None: all 1.
        recipe: how to train; its seed is not used.
        trainable: paths of the layers that move; None: all.

    Returns:
        The new state, the loss, and whether loss and gradient are finite.
    """
    model = state.model
    key_augment, key_drop = jax.random.split(jax.random.fold_in(key, state.step))
    if label_weights is not None:  # the same key, so they move as the labels do
        _, label_weights = augment(
            images / 255.0, label_weights, recipe.augment, ignore=0, key=key_augment
        )
    pixels, labels = augment(
        images / 255.0, labels, recipe.augment, ignore=ignore, key=key_augment
    )
    pixels = (pixels - scale[0]) / scale[1]

    def loss(params: Any) -> tuple[Array, Any]:
        network = dataclasses.replace(model, params=params)
        aux = recipe.aux_weight > 0
        if recipe.batch_norm == "frozen":
            output, stats = apply(network, pixels, aux=aux), model.stats
        else:
            output, stats = apply_train(network, pixels, aux=aux, key=key_drop)

        def error(logits: Array) -> Array:
            weights = label_weights
            return cross_entropy(
                logits,
                fit_labels(labels, logits),
                ignore=ignore,
                class_weights=class_weights,
                weights=None if weights is None else fit_labels(weights, logits),
            )

        total = error(output.logits)
        for logits in output.aux:
            total += recipe.aux_weight * error(logits)
        return total, stats

    (value, stats), grads = jax.value_and_grad(loss, has_aux=True)(model.params)
    rule = optimiser(recipe, trainable=trainable)
    updates, opt_state = rule.update(grads, state.opt_state, model.params)
    params = jax.tree.map(jnp.add, model.params, updates)
    fine = jnp.isfinite(value) & _finite(grads)
    new = dataclasses.replace(model, params=params, stats=stats)
    return TrainState(new, opt_state, state.step + 1), value, fine


def _finite(tree: Any) -> Array:
    return jnp.all(jnp.array([jnp.isfinite(x).all() for x in jax.tree.leaves(tree)]))


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


def _batches(
    dataset: Dataset,
    recipe: Recipe,
    done: int,
    weights: Float[np.ndarray, "n ..."] | None,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
    """Yield images, labels and weights of the remaining steps."""
    chosen = [
        batch_indices(len(dataset), recipe.batch_size, step, seed=recipe.seed)
        for step in range(done, recipe.steps)
    ]
    read = read_batches(dataset, chosen)
    for indices, (images, labels) in zip(chosen, read, strict=True):
        part = None if weights is None else weights[indices].astype(np.float32)
        yield images, labels, part


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

"""Learning from labelled images: a batch of them, and the loss of a step."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
from flax import nnx
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from trfjax.state import Output, SourceModel
from trfjax.training.augment import Augment, augment
from trfjax.training.evaluate import standardise
from trfjax.training.losses import cross_entropy, dice_loss, fit_labels
from trfjax.training.recipe import BatchNorm, Recipe, optimiser
from trfjax.training.step import Outcome, State, Update, forward


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Batch:
    """Labelled images of one step, and how their labels count."""

    images: Any  # (b, h, w, c) as stored, 0 to 255
    labels: Any  # (b, h, w) or (b,)
    ignore: Any  # the label that counts for nothing
    scale: Any  # (2, c): mean and standard deviation of images in [0, 1]
    class_weights: Any = None  # (k,); None: all 1
    label_weights: Any = None  # in the shape of the labels; None: all 1


@dataclasses.dataclass(frozen=True)
class LossWeights:
    """Weights of what is added to the cross-entropy of a network (static)."""

    aux: float = 0.0  # of the same loss on auxiliary logits
    dice: float = 0.0  # of the Dice loss

    @classmethod
    def of(cls, recipe: Recipe) -> LossWeights:
        """Return those of a recipe."""
        return cls(aux=recipe.aux_weight, dice=recipe.dice_weight)


@dataclasses.dataclass(frozen=True)
class Supervised:
    """The loss of augmented images, with its static settings."""

    graphdef: nnx.GraphDef[Any]
    augment: Augment
    weights: LossWeights
    batch_norm: BatchNorm

    def __call__(
        self, params: PyTree, state: State, batch: Batch, key: PRNGKeyArray
    ) -> tuple[Array, Outcome]:
        """Return the loss of a batch; a `Loss` of `training.step`."""
        key_augment, key_drop = jax.random.split(key)
        images, batch = augmented(batch, self.augment, key=key_augment)
        output, stats = forward(
            SourceModel(params, state.stats, self.graphdef),
            images,
            batch_norm=self.batch_norm,
            aux=self.weights.aux > 0,
            key=key_drop,
        )
        total = output_loss(output, batch, self.weights)
        return total, Outcome(stats=stats, memory=state.memory, seen={})


def supervised(
    graphdef: nnx.GraphDef[Any],
    recipe: Recipe,
    *,
    trainable: frozenset[str] | None = None,
) -> Update:
    """Return the step of a recipe on labelled images.

    Args:
        graphdef: structure of the network.
        recipe: how to train; its seed has no part in this.
        trainable: paths of the layers that move; None: all.
    """
    loss = Supervised(
        graphdef=graphdef,
        augment=recipe.augment,
        weights=LossWeights.of(recipe),
        batch_norm=recipe.batch_norm,
    )
    return Update(loss, optimiser(recipe, trainable=trainable))


def augmented(
    batch: Batch, config: Augment, *, key: PRNGKeyArray
) -> tuple[Float[Array, "b h w c"], Batch]:
    """Return images as the network takes them, and the batch that fits them.

    Args:
        batch: as stored.
        config: how much images change (static).
        key: where the changes are drawn.

    Returns:
        The images, changed and standardised; the batch with labels and weights moved as
        the images are, and the images as they were.
    """
    pixels = batch.images / 255.0
    weights = batch.label_weights
    if weights is not None:  # the same key, so they move as the labels do
        _, weights = augment(pixels, weights, config, ignore=0, key=key)
    pixels, labels = augment(pixels, batch.labels, config, ignore=batch.ignore, key=key)
    moved = dataclasses.replace(batch, labels=labels, label_weights=weights)
    return standardise(pixels, batch.scale), moved


def output_loss(output: Output, batch: Batch, weights: LossWeights) -> Float[Array, ""]:
    """Return the loss of the logits, and of the auxiliary ones where there are some.

    Args:
        output: of the network.
        batch: its labels and how they count.
        weights: of what is added (static).
    """
    total = label_loss(output.logits, batch, weights)
    for logits in output.aux:
        total += weights.aux * label_loss(logits, batch, weights)
    return total


def label_loss(
    logits: Float[Array, "b ... k"],
    batch: Batch,
    weights: LossWeights = LossWeights(),
) -> Float[Array, ""]:
    """Return the mean cross-entropy of a batch, in nats, and what is added to it.

    Args:
        logits: of the batch.
        batch: its labels and how they count; its images are not used. Its weights are
            those of the cross-entropy only.
        weights: of what is added (static); 0 leaves a term out.
    """
    pixels = batch.label_weights
    labels = fit_labels(batch.labels, logits)
    loss = cross_entropy(
        logits,
        labels,
        ignore=batch.ignore,
        class_weights=batch.class_weights,
        weights=None if pixels is None else fit_labels(pixels, logits),
    )
    if weights.dice > 0:
        loss += weights.dice * dice_loss(logits, labels, ignore=batch.ignore)
    return loss

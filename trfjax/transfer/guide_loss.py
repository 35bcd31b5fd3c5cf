"""The loss of one step of the guide, for images and for pixels.

Source and target images pass through one network with two heads: the source's own, and
that of the target. Their features are aligned; cross-entropies guard what either head
knows.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from trfjax.state import Output, SourceModel
from trfjax.training.evaluate import standardise
from trfjax.training.layers import layer_order, trainable_layers
from trfjax.training.losses import fit_labels
from trfjax.training.recipe import Recipe, optimiser
from trfjax.training.step import Outcome, State, Update
from trfjax.training.supervised import Batch, label_loss
from trfjax.transfer.guide import Alignment, Guide, alignment_loss, read_features
from trfjax.transfer.passes import Passes, pass_both
from trfjax.trees import flatten, leaf_path


@dataclasses.dataclass(frozen=True)
class GuideLoss:
    """Alignment and cross-entropies of two batches, with the static settings."""

    guide: Guide
    source: nnx.GraphDef[Any]  # of the network with the head of the source
    target: nnx.GraphDef[Any]  # of the network with the head of the target
    balanced: bool = False  # as many pixels of every class

    def __call__(
        self,
        params: PyTree,
        state: State,
        batch: tuple[Batch, Batch],
        key: PRNGKeyArray,
    ) -> tuple[Array, Outcome]:
        """Return the loss of a source and a target batch; a `Loss` of `training.step`.

        Args:
            params: of both heads; see `with_both_heads`.
            state: with the statistics.
            batch: source and target images.
            key: of dropout, and of the pixels drawn.
        """
        guide, (source, target) = self.guide, batch
        key_pass, *key_draws = jax.random.split(key, 3)
        passes = pass_both(
            self.source_network(params, state.stats),
            self.target_network(params, state.stats),
            standardise(source.images / 255.0, source.scale),
            standardise(target.images / 255.0, target.scale),
            batch_norm=guide.batch_norm,
            key=key_pass,
        )
        loss, parts = self._align(passes, batch, key_draws)
        if guide.source_weight:
            loss += guide.source_weight * label_loss(passes.source.logits, source)
        if guide.task_weight:
            loss += guide.task_weight * label_loss(passes.target.logits, target)
        seen = {
            "task_difference": parts.task_difference,
            "domain_difference": parts.domain_difference,
            "marginal_error": parts.marginal_error,
            "converged": parts.converged.astype(loss.dtype),
            "source_accuracy": _accuracy(passes.source.logits, source),
        }
        return loss, Outcome(stats=passes.stats, memory=state.memory, seen=seen)

    def target_network(self, params: PyTree, stats: PyTree) -> SourceModel:
        """Return the network with the head of the target."""
        return SourceModel(params["target"], stats, self.target)

    def source_network(self, params: PyTree, stats: PyTree) -> SourceModel:
        """Return the network with the head of the source on the shared layers."""
        head = params["source"]
        merged = jax.tree_util.tree_map_with_path(
            lambda keys, leaf: head.get(leaf_path(keys), leaf), params["target"]
        )
        return SourceModel(merged, stats, self.source)

    def _align(
        self, passes: Passes, batch: tuple[Batch, Batch], keys: list[Array]
    ) -> tuple[Float[Array, ""], Alignment]:
        """Return the alignment loss; 0 where a side has nothing but ignored labels."""
        guide, (source, target) = self.guide, batch
        classes = [part.logits.shape[-1] for part in (passes.source, passes.target)]
        x, ys, a = self._instances(
            passes.source, source, guide.source_batch, classes[0], keys[0]
        )
        y, yt, b = self._instances(
            passes.target_as_source, target, guide.target_batch, classes[1], keys[1]
        )
        empty = ~(a.any() & b.any())
        loss, parts = alignment_loss(
            x,
            ys,
            y,
            yt,
            num_source_classes=classes[0],
            num_classes=classes[1],
            guide=guide,
            source_weights=a + empty,
            target_weights=b + empty,
        )
        return jnp.where(empty, 0, loss), parts

    def _instances(
        self,
        output: Output,
        batch: Batch,
        count: int,
        num_classes: int,
        key: PRNGKeyArray,
    ) -> tuple[Float[Array, "n d"], Int[Array, " n"], Float[Array, " n"]]:
        """Return features, labels and weights: of every image, or of pixels drawn."""
        features = read_features(output, self.guide.features)
        labels = fit_labels(batch.labels, output.logits)
        labels = _at_cells(labels, features).reshape(-1)
        features = features.reshape(-1, features.shape[-1])
        valid = labels != batch.ignore
        if len(labels) > count:
            chosen = draw(
                key, labels, valid, count, num_classes, balanced=self.balanced
            )
            features, labels, valid = features[chosen], labels[chosen], valid[chosen]
        labels = jnp.where(valid, labels, 0)
        return features, labels, valid.astype(features.dtype)


def guide_update(loss: GuideLoss, layers: frozenset[str]) -> Update:
    """Return the step of the guide.

    Args:
        loss: of the guide.
        layers: those of the target's network that move; see `guided_layers`.
    """
    guide = loss.guide
    recipe = Recipe(
        steps=guide.steps, learning_rate=guide.learning_rate, weight_decay=0.0
    )
    moving = {f"target/{name}" for name in layers}
    if guide.source_weight:
        moving.add("source")
    return Update(loss, optimiser(recipe, trainable=frozenset(moving)))


def with_both_heads(
    source: PyTree, target: PyTree, new: frozenset[str]
) -> dict[str, PyTree]:
    """Return the parameters that the guide moves.

    Args:
        source: of the network with the head of the source.
        target: of the network with the head of the target.
        new: layers that the two do not share.

    Returns:
        "target": all of the network; "source": by path, those of the source alone.
    """
    head = {
        path: leaf
        for path, leaf in flatten(source).items()
        if path.rpartition("/")[0] in new
    }
    return {"target": target, "source": head}


def guided_layers(
    model: SourceModel, image: tuple[int, ...], guide: Guide, *, new: frozenset[str]
) -> frozenset[str]:
    """Return the paths of the layers of the target's network that the guide moves.

    Args:
        model: the network with the head of the target.
        image: shape of one image.
        guide: says which.
        new: layers that source and target do not share; none if the head is kept.

    Raises:
        ValueError: a guide that moves no layer before the head.
    """
    order = frozenset(layer_order(model, image))
    head = new or trainable_layers(model, image, "head", head=new) or frozenset()
    moved = None
    if guide.moves != "features":
        moved = trainable_layers(model, image, guide.moves, head=head)
    layers = (order if moved is None else moved) - head
    if not layers:
        raise ValueError(f"guide: {guide.moves!r} moves no layer before the head")
    # A head that the loss does not see stays as it is; a kept one serves both sides.
    seen = guide.task_weight or (guide.source_weight and not new)
    return layers | head if seen else layers


def draw(
    key: PRNGKeyArray,
    labels: Int[Array, " n"],
    valid: Bool[Array, " n"],
    count: int,
    num_classes: int,
    *,
    balanced: bool,
) -> Int[Array, " count"]:
    """Draw positions without replacement; the valid ones first.

    Args:
        key: where they are drawn.
        labels: classes in `[0, num_classes)` where valid.
        valid: which may be drawn; others only fill up.
        count: how many (static).
        num_classes: static.
        balanced: whether every class is as likely, or every position.
    """
    height = jax.random.gumbel(key, labels.shape)
    if balanced:
        index = jnp.where(valid, labels, num_classes)
        sizes = jnp.bincount(index, length=num_classes + 1)
        height -= jnp.log(jnp.maximum(sizes[index], 1))
    return jax.lax.top_k(jnp.where(valid, height, -jnp.inf), count)[1]


def _at_cells(labels: Int[Array, "b ..."], features: Array) -> Int[Array, "b ..."]:
    """Return the label at the centre of every cell of a map of features."""
    for axis in range(1, labels.ndim):
        have, want = labels.shape[axis], features.shape[axis]
        centres = ((jnp.arange(want) + 0.5) * have / want).astype(jnp.int32)
        labels = jnp.take(labels, centres, axis=axis)
    return labels


def _accuracy(logits: Float[Array, "b ... k"], batch: Batch) -> Float[Array, ""]:
    labels = fit_labels(batch.labels, logits)
    valid = labels != batch.ignore
    right = valid & (logits.argmax(axis=-1) == labels)
    return right.sum() / jnp.maximum(valid.sum(), 1)

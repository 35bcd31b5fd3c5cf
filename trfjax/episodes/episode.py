"""One few-shot episode as a pure function: align, fine-tune, test."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Int, PRNGKeyArray, PyTree

from trfjax.episodes.descend import descend
from trfjax.state import SourceModel, apply
from trfjax.training.evaluate import standardise
from trfjax.training.layers import trainable_layers
from trfjax.training.losses import log_likelihood
from trfjax.training.recipe import Recipe, layer_of
from trfjax.training.step import Loss, Outcome, State, Update, begin
from trfjax.training.supervised import Batch, supervised
from trfjax.transfer.guide import Guide
from trfjax.transfer.guide_loss import (
    GuideLoss,
    guide_update,
    guided_layers,
    with_both_heads,
)

Fresh = Callable[[PRNGKeyArray], SourceModel]


@dataclasses.dataclass(frozen=True)
class Program:
    """The static settings of one episode, compiled in."""

    graphdef: nnx.GraphDef[Any]  # of the network with the new head
    head: frozenset[str]  # the new layers
    tune: Update  # of the shots
    tune_steps: int
    align: Update | None  # of the guide, before that
    align_steps: int
    fresh: Fresh | None  # from scratch, from a key


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Task:
    """The images of one episode, as stored, and the source data."""

    support: Batch  # labels in 0..ways-1
    query: Batch
    source: Batch | None  # None without a guide


@dataclasses.dataclass(frozen=True)
class ShotsLoss:
    """The loss of a batch drawn from all shots."""

    loss: Loss
    size: int  # of the batch

    def __call__(
        self, params: PyTree, state: State, batch: Batch, key: PRNGKeyArray
    ) -> tuple[Array, Outcome]:
        """Return the loss of a draw; a `Loss` of `training.step`."""
        key_batch, key_loss = jax.random.split(key)
        return self.loss(params, state, drawn(batch, self.size, key_batch), key_loss)


@dataclasses.dataclass(frozen=True)
class GuideDrawLoss:
    """The loss of the guide, of source images and shots drawn."""

    loss: GuideLoss

    def __call__(
        self,
        params: PyTree,
        state: State,
        batch: tuple[Batch, Batch],
        key: PRNGKeyArray,
    ) -> tuple[Array, Outcome]:
        """Return the loss of a draw of source and target; a `Loss`."""
        key_source, key_target, key_loss = jax.random.split(key, 3)
        (source, target), guide = batch, self.loss.guide
        # With replacement: in one pass, however many images the source has.
        count = (guide.source_batch,)
        rows = jax.random.randint(key_source, count, 0, len(source.images))
        pair = _rows(source, rows), drawn(target, guide.target_batch, key_target)
        return self.loss(params, state, pair, key_loss)


def make_program(
    source: SourceModel,
    template: SourceModel,
    head: frozenset[str],
    image: tuple[int, ...],
    *,
    recipe: Recipe,
    mode: str,
    guide: Guide | None,
    fresh: Fresh | None,
) -> Program:
    """Return the static settings of the episodes.

    Args:
        source: the network with the head of the source.
        template: the same with a new head.
        head: the new layers.
        image: shape of one image.
        recipe: how the shots are learned; its seed has no part in this.
        mode: the layers that the shots move; see `trainable_layers`.
        guide: of the alignment before that; None: there is none.
        fresh: makes a network from a key, instead of the source.

    Raises:
        ValueError: an unknown mode, or a guide that moves no layer before the head.
    """
    layers = trainable_layers(template, image, mode, head=head)
    tune = supervised(template.graphdef, recipe, trainable=layers)
    align = None
    if guide is not None:
        loss = GuideLoss(guide, source=source.graphdef, target=template.graphdef)
        align = guide_update(loss, guided_layers(template, image, guide, new=head))
        align = dataclasses.replace(align, loss=GuideDrawLoss(loss))
    return Program(
        graphdef=template.graphdef,
        head=head,
        tune=dataclasses.replace(tune, loss=ShotsLoss(tune.loss, recipe.batch_size)),
        tune_steps=recipe.steps,
        align=align,
        align_steps=0 if guide is None else guide.steps,
        fresh=fresh,
    )


def fine_tune_one(
    source: SourceModel,
    template: SourceModel,
    task: Task,
    program: Program,
    key: PRNGKeyArray,
) -> dict[str, Any]:
    """Fine-tune to one episode; return the test and the course of it.

    Args:
        source: the network with the head of the source.
        template: the same with a head for the classes of the episode.
        task: the images.
        program: what is done (static).
        key: of everything that is drawn.
    """
    key_fresh, key_head, key_align, key_tune = jax.random.split(key, 4)
    params, stats = template.params, template.stats
    if program.fresh is not None:
        network = program.fresh(key_fresh)
        params, stats = _swap(params, network.params, program.head), network.stats
    params = _draw_head(params, program.head, key_head)
    alignment: dict[str, Array] = {}
    lost = jnp.full((), -1)
    if program.align is not None:
        both = with_both_heads(source.params, params, program.head)
        state, alignment, lost = descend(
            begin(both, stats, program.align),
            (task.source, task.support),
            key_align,
            update=program.align,
            steps=program.align_steps,
        )
        params, stats = state.params["target"], state.stats
    state, course, stopped = descend(
        begin(params, stats, program.tune),
        task.support,
        key_tune,
        update=program.tune,
        steps=program.tune_steps,
    )
    model = SourceModel(state.params, state.stats, program.graphdef)
    return {
        **_tested(model, task.query),
        "losses": course["loss"],
        "stopped": stopped,
        "alignment": alignment,
        "alignment_stopped": lost,
    }


def drawn(batch: Batch, size: int, key: PRNGKeyArray) -> Batch:
    """Draw images without replacement; all of them, in order, if they are no more.

    Args:
        batch: to draw from.
        size: how many (static).
        key: where they are drawn.
    """
    if size >= len(batch.images):
        return batch
    return _rows(batch, jax.random.permutation(key, len(batch.images))[:size])


def _rows(batch: Batch, chosen: Int[Array, " n"]) -> Batch:
    return dataclasses.replace(
        batch, images=batch.images[chosen], labels=batch.labels[chosen]
    )


def _tested(model: SourceModel, query: Batch) -> dict[str, Array]:
    logits = apply(model, standardise(query.images / 255.0, query.scale)).logits
    return {
        "accuracy": jnp.mean(logits.argmax(axis=1) == query.labels),
        "log_likelihood": log_likelihood(logits, query.labels).mean(),
    }


def _draw_head(params: PyTree, head: frozenset[str], key: PRNGKeyArray) -> PyTree:
    """Draw the last layer anew, as `with_new_head` does."""

    def fresh(keys: tuple[Any, ...], leaf: Array) -> Array:
        if layer_of(keys) not in head or leaf.ndim == 1:
            return leaf
        return jax.nn.initializers.lecun_normal()(key, leaf.shape, leaf.dtype)

    return jax.tree_util.tree_map_with_path(fresh, params)


def _swap(params: PyTree, fresh: PyTree, head: frozenset[str]) -> PyTree:
    """Take all but the head from a fresh network."""
    return jax.tree_util.tree_map_with_path(
        lambda keys, leaf, new: leaf if layer_of(keys) in head else new, params, fresh
    )

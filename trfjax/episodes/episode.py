"""One few-shot episode as a pure function: align, fine-tune, test."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, PyTree

from trfjax.state import SourceModel, apply, apply_train
from trfjax.training.augment import augment
from trfjax.training.losses import cross_entropy, log_likelihood
from trfjax.training.recipe import Recipe, layer_of, optimiser
from trfjax.transfer.guide import Guide, alignment_loss, read_features
from trfjax.transfer.passes import pass_both
from trfjax.trees import flatten, leaf_path

Loss = Callable[[PyTree, PyTree, Array], tuple[Array, tuple[PyTree, dict[str, Array]]]]


@dataclasses.dataclass(frozen=True)
class Program:
    """What is compiled in."""

    graphdef: nnx.GraphDef[Any]  # of the network with the new head
    recipe: Recipe
    layers: frozenset[str] | None  # that the shots move; None: all
    head: frozenset[str]  # the new layers
    guide: Guide | None
    aligned: frozenset[str]  # layers that the alignment moves
    num_source_classes: int
    fresh: Callable[[Any], SourceModel] | None  # from scratch, from a key


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Task:
    """The images of one episode, as stored, and the source data."""

    support: Any  # (n, h, w, c)
    support_labels: Any  # (n,) in 0..ways-1
    query: Any
    query_labels: Any
    source: Any  # (k, h, w, c); empty without a guide
    source_labels: Any
    scale: Any  # (2, c): mean and standard deviation of images in [0, 1]


def fine_tune_one(
    source: SourceModel,
    template: SourceModel,
    task: Task,
    program: Program,
    key: Array,
) -> dict[str, Any]:
    """Fine-tune to one episode; return the test and the course of it."""
    key_fresh, key_head, key_align, key_tune = jax.random.split(key, 4)
    params, stats = template.params, template.stats
    if program.fresh is not None:
        network = program.fresh(key_fresh)
        params, stats = _swap(params, network.params, program.head), network.stats
    params = _draw_head(params, program.head, key_head)
    alignment: dict[str, Array] = {}
    lost = jnp.full((), -1)
    if program.guide is not None:
        params, stats, alignment, lost = _align(
            source, params, stats, task, program, key_align
        )
    params, stats, course, stopped = _tune(params, stats, task, program, key_tune)
    model = SourceModel(params, stats, program.graphdef)
    logits = apply(model, _pixels(task.query, task.scale)).logits
    likelihood = log_likelihood(logits, task.query_labels).mean()
    return {
        "accuracy": jnp.mean(logits.argmax(axis=1) == task.query_labels),
        "log_likelihood": likelihood,
        "losses": course["loss"],
        "stopped": stopped,
        "alignment": alignment,
        "alignment_stopped": lost,
    }


def _tune(
    params: PyTree, stats: PyTree, task: Task, program: Program, key: Array
) -> tuple[PyTree, PyTree, dict[str, Array], Array]:
    """Learn the shots."""
    recipe = program.recipe

    def loss(params: PyTree, stats: PyTree, key: Array):
        key_batch, key_augment, key_drop = jax.random.split(key, 3)
        images, labels = _batch(
            key_batch, task.support, task.support_labels, recipe.batch_size
        )
        images, labels = augment(
            images / 255.0, labels, recipe.augment, key=key_augment
        )
        images = (images - task.scale[0]) / task.scale[1]
        model = SourceModel(params, stats, program.graphdef)
        if recipe.batch_norm == "frozen":
            output = apply(model, images)
        else:
            output, stats = apply_train(model, images, key=key_drop)
        return cross_entropy(output.logits, labels), (stats, {})

    return descend(loss, params, stats, recipe, program.layers, key)


def _align(
    source: SourceModel,
    params: PyTree,
    stats: PyTree,
    task: Task,
    program: Program,
    key: Array,
) -> tuple[PyTree, PyTree, dict[str, Array], Array]:
    """Move the features by the guide; the head of the source takes part, apart."""
    guide = program.guide
    assert guide is not None
    old = {
        path: leaf
        for path, leaf in flatten(source.params).items()
        if path.rpartition("/")[0] in program.head
    }
    both = {"target": params, "source": old}
    moving = {f"target/{name}" for name in program.aligned}
    if guide.source_weight:
        moving.add("source")
    recipe = Recipe(
        steps=guide.steps, learning_rate=guide.learning_rate, weight_decay=0.0
    )

    def loss(both: PyTree, stats: PyTree, key: Array):
        return _guide_loss(both, stats, key, source, task, program, guide)

    both, stats, course, stopped = descend(
        loss, both, stats, recipe, frozenset(moving), key
    )
    return both["target"], stats, course, stopped


def _guide_loss(
    both: PyTree,
    stats: PyTree,
    key: Array,
    source: SourceModel,
    task: Task,
    program: Program,
    guide: Guide,
) -> tuple[Array, tuple[PyTree, dict[str, Array]]]:
    key_source, key_target, key_pass = jax.random.split(key, 3)
    n = len(task.source)
    chosen = jax.random.randint(key_source, (guide.source_batch,), 0, n)
    labels = task.source_labels[chosen]
    old = jax.tree_util.tree_map_with_path(
        lambda keys, leaf: both["source"].get(leaf_path(keys), leaf), both["target"]
    )
    images, classes = _batch(
        key_target, task.support, task.support_labels, guide.target_batch
    )
    before = SourceModel(old, stats, source.graphdef)
    after = SourceModel(both["target"], stats, program.graphdef)
    there = _pixels(task.source[chosen], task.scale)
    here = _pixels(images, task.scale)
    at_source, at_target, as_source, stats = pass_both(
        before, after, there, here, batch_norm=guide.batch_norm, key=key_pass
    )
    loss, parts = alignment_loss(
        read_features(at_source, guide.features),
        labels,
        read_features(as_source, guide.features),
        classes,
        num_source_classes=program.num_source_classes,
        num_classes=at_target.logits.shape[1],
        guide=guide,
    )
    if guide.task_weight:
        loss += guide.task_weight * cross_entropy(at_target.logits, classes)
    if guide.source_weight:
        loss += guide.source_weight * cross_entropy(at_source.logits, labels)
    seen = {
        "task_difference": parts.task_difference,
        "domain_difference": parts.domain_difference,
        "marginal_error": parts.marginal_error,
        "source_accuracy": jnp.mean(at_source.logits.argmax(axis=1) == labels),
    }
    return loss, (stats, seen)


def descend(
    loss: Loss,
    params: PyTree,
    stats: PyTree,
    recipe: Recipe,
    layers: frozenset[str] | None,
    key: Array,
) -> tuple[PyTree, PyTree, dict[str, Array], Array]:
    """Do the steps of a recipe; a loss that is not finite ends them.

    Args:
        loss: of parameters, statistics and the key of the step, which returns new
            statistics and what is to be seen of the step besides.
        params: to begin with.
        stats: likewise.
        recipe: steps and optimiser.
        layers: paths of the layers that move; None: all.
        key: folded with the number of every step.

    Returns:
        Parameters and statistics, the last whose loss was finite; what was seen, by
        step; the step that was not finite, or -1.
    """
    rule = optimiser(recipe, trainable=layers)
    slope = jax.value_and_grad(loss, has_aux=True)

    def step(carry: tuple[PyTree, PyTree, Array], number: Array):
        state, good, stopped = carry
        params, stats, opt_state = state
        (value, (stats, seen)), grads = slope(
            params, stats, jax.random.fold_in(key, number)
        )
        norm = jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(grads)))
        fine = (stopped < 0) & jnp.isfinite(value) & jnp.isfinite(norm)
        updates, opt_state = rule.update(grads, opt_state, params)
        moved = jax.tree.map(jnp.add, params, updates)
        good = _where(fine, state[:2], good)
        state = _where(fine, (moved, stats, opt_state), state)
        stopped = jnp.where((stopped < 0) & ~fine, number, stopped)
        seen = {"loss": value, "gradient_norm": norm, **seen}
        return (state, good, stopped), _where(fine, seen, _nothing(seen))

    start = (params, stats, rule.init(params))
    none = jnp.full((), -1)
    (state, good, stopped), course = lax.scan(
        step, (start, start[:2], none), jnp.arange(recipe.steps)
    )
    params, stats = _where(stopped < 0, state[:2], good)
    return params, stats, course, stopped


def _where(condition: Array, one: PyTree, other: PyTree) -> PyTree:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), one, other)


def _nothing(seen: dict[str, Array]) -> dict[str, Array]:
    return jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.nan), seen)


def _batch(key: Array, images: Array, labels: Array, size: int) -> tuple[Array, Array]:
    """Draw without replacement; all of them, in order, if they are no more."""
    if size >= len(images):
        return images, labels
    chosen = jax.random.permutation(key, len(images))[:size]
    return images[chosen], labels[chosen]


def _pixels(images: Array, scale: Array) -> Array:
    return (images / 255.0 - scale[0]) / scale[1]


def _draw_head(params: PyTree, head: frozenset[str], key: Array) -> PyTree:
    """Draw the last layer anew, as `with_new_head` does."""

    def fresh(keys: tuple[Any, ...], leaf: Array) -> Array:
        if layer_of(keys) not in head or leaf.ndim == 1:
            return leaf
        return jax.nn.initializers.lecun_normal()(key, leaf.shape, leaf.dtype)

    return jax.tree_util.tree_map_with_path(fresh, params)


def _swap(params: PyTree, others: PyTree, head: frozenset[str]) -> PyTree:
    """Take all but the head from another network."""
    return jax.tree_util.tree_map_with_path(
        lambda keys, leaf, other: leaf if layer_of(keys) in head else other,
        params,
        others,
    )

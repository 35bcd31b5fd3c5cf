"""One step of the alignment of target with source features, for images and pixels."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from trfjax.state import Output, SourceModel
from trfjax.training.losses import cross_entropy, fit_labels
from trfjax.training.recipe import Recipe, optimiser
from trfjax.transfer.guide import Guide, alignment_loss, read_features
from trfjax.transfer.passes import pass_both
from trfjax.trees import flatten, leaf_path


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is compiled in."""

    guide: Guide
    source: nnx.GraphDef[Any]  # of the network with the source's head
    target: nnx.GraphDef[Any]  # of the network with the head of the target
    layers: frozenset[str]  # that move
    new: frozenset[str]  # layers that source and target do not share
    num_source_classes: int
    num_classes: int
    balanced: bool  # as many pixels of every class


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class AlignState:
    """What one step changes."""

    params: Any  # "target": of the network; "source": of the source's own head
    stats: Any
    opt_state: Any
    step: Any  # steps done; int32


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Side:
    """Labelled images of a batch, as stored."""

    images: Any  # (b, h, w, c), 0 to 255
    labels: Any  # (b, h, w) or (b,)
    ignore: Any


def before_aligning(source: SourceModel, target: SourceModel, plan: Plan) -> AlignState:
    """Return the state before the first step.

    Args:
        source: the network with the source's head.
        target: the same with the head it is to have.
        plan: says which layers they do not share.
    """
    own = {
        path: leaf
        for path, leaf in flatten(source.params).items()
        if path.rpartition("/")[0] in plan.new
    }
    params = {"target": target.params, "source": own}
    opt_state = _rule(plan).init(params)
    return AlignState(params, target.stats, opt_state, jnp.zeros((), jnp.int32))


def target_network(state: AlignState, plan: Plan) -> SourceModel:
    """Return the network with the head of the target."""
    return SourceModel(state.params["target"], state.stats, plan.target)


def source_network(state: AlignState, plan: Plan) -> SourceModel:
    """Return the network with the head of the source."""
    return _with_own(state.params, state.stats, plan)


@jax.jit(static_argnames=("plan",))
def align_step(
    state: AlignState, there: Side, here: Side, scale: Array, key: Array, *, plan: Plan
) -> tuple[AlignState, dict[str, Array], Array]:
    """Do one step.

    Args:
        state: what the step changes.
        there: source images.
        here: target images.
        scale: mean and standard deviation of images in `[0, 1]`.
        key: of the run; folded with the number of the step.
        plan: what is done.

    Returns:
        The new state, what is to be seen of the step, and whether loss and gradient
        are finite.
    """
    keys = jax.random.split(jax.random.fold_in(key, state.step), 3)
    slope = jax.value_and_grad(_loss, has_aux=True)
    (value, (stats, seen)), grads = slope(
        state.params, state.stats, there, here, scale, keys, plan
    )
    norm = jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(grads)))
    updates, opt_state = _rule(plan).update(grads, state.opt_state, state.params)
    params = jax.tree.map(jnp.add, state.params, updates)
    fine = jnp.isfinite(value) & jnp.isfinite(norm)
    seen = {"loss": value, "gradient_norm": norm, **seen}
    return AlignState(params, stats, opt_state, state.step + 1), seen, fine


def _loss(
    params: PyTree,
    stats: PyTree,
    there: Side,
    here: Side,
    scale: Array,
    keys: Array,
    plan: Plan,
) -> tuple[Array, tuple[PyTree, dict[str, Array]]]:
    guide = plan.guide
    before = _with_own(params, stats, plan)
    after = SourceModel(params["target"], stats, plan.target)
    far = (there.images / 255.0 - scale[0]) / scale[1]
    near = (here.images / 255.0 - scale[0]) / scale[1]
    at_source, at_target, as_source, stats = pass_both(
        before, after, far, near, batch_norm=guide.batch_norm, key=keys[0]
    )
    x, ys, a = _instances(at_source, there, guide.source_batch, keys[1], plan, 0)
    y, yt, b = _instances(as_source, here, guide.target_batch, keys[2], plan, 1)
    empty = ~(a.any() & b.any())  # nothing but ignored labels on a side
    loss, parts = alignment_loss(
        x, ys, y, yt,
        num_source_classes=plan.num_source_classes, num_classes=plan.num_classes,
        guide=guide, source_weights=a + empty, target_weights=b + empty,
    )  # fmt: skip
    loss = jnp.where(empty, 0, loss)
    labels = fit_labels(there.labels, at_source.logits)
    if guide.source_weight:
        error = cross_entropy(at_source.logits, labels, ignore=there.ignore)
        loss += guide.source_weight * error
    if guide.task_weight:
        classes = fit_labels(here.labels, at_target.logits)
        error = cross_entropy(at_target.logits, classes, ignore=here.ignore)
        loss += guide.task_weight * error
    valid = labels != there.ignore
    right = valid & (at_source.logits.argmax(axis=-1) == labels)
    seen = {
        "task_difference": parts.task_difference,
        "domain_difference": parts.domain_difference,
        "marginal_error": parts.marginal_error,
        "converged": parts.converged,
        "source_accuracy": right.sum() / jnp.maximum(valid.sum(), 1),
    }
    return loss, (stats, seen)


def _instances(
    output: Output, side: Side, count: int, key: PRNGKeyArray, plan: Plan, which: int
) -> tuple[Float[Array, "n d"], Int[Array, " n"], Float[Array, " n"]]:
    """Return features, labels and weights: of every image, or of pixels drawn."""
    features = read_features(output, plan.guide.features)
    labels = fit_labels(side.labels, output.logits)
    if labels.ndim > 1:  # the label at the centre of every cell of the features
        for axis in (1, 2):
            have, want = labels.shape[axis], features.shape[axis]
            centres = ((jnp.arange(want) + 0.5) * have / want).astype(jnp.int32)
            labels = jnp.take(labels, centres, axis=axis)
    features = features.reshape(-1, features.shape[-1])
    labels = labels.reshape(-1)
    valid = labels != side.ignore
    if len(labels) > count:
        classes = plan.num_classes if which else plan.num_source_classes
        chosen = draw(key, labels, valid, count, classes, balanced=plan.balanced)
        features, labels, valid = features[chosen], labels[chosen], valid[chosen]
    labels = jnp.where(valid, labels, 0)
    return features, labels, valid.astype(features.dtype)


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


def _with_own(params: PyTree, stats: PyTree, plan: Plan) -> SourceModel:
    """Put the source's own head on the shared layers."""
    own = params["source"]
    merged = jax.tree_util.tree_map_with_path(
        lambda keys, leaf: own.get(leaf_path(keys), leaf), params["target"]
    )
    return SourceModel(merged, stats, plan.source)


def _rule(plan: Plan) -> Any:
    guide = plan.guide
    recipe = Recipe(
        steps=guide.steps, learning_rate=guide.learning_rate, weight_decay=0.0
    )
    moving = {f"target/{name}" for name in plan.layers}
    if guide.source_weight:
        moving.add("source")
    return optimiser(recipe, trainable=frozenset(moving))

"""The loss that brings a network's target features to its source features by class.

Tan, Li and Huang, "Transferability-Guided Cross-Domain Cross-Task Transfer Learning",
2022: before fine-tuning, minimise the conditional entropy of target labels given source
labels under the optimal-transport plan between their features.
"""

from __future__ import annotations

import dataclasses
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from trfjax.arrays import safe_divide
from trfjax.data import Dataset
from trfjax.numbers import as_count, as_real
from trfjax.state import Output
from trfjax.training.recipe import BatchNorm
from trfjax.transport.conditional import entropy_given_rows
from trfjax.transport.joint import couple
from trfjax.transport.problem import Problem, Settings, mean_cost
from trfjax.typing import FEATURE_SPACES, FeatureSpace

SETTINGS = Settings(tolerance=1e-3, joint_tolerance=1e-4, max_iterations=200)


@dataclasses.dataclass(frozen=True)
class Guide:
    """The settings of an alignment; the defaults are as published."""

    steps: int = 100
    learning_rate: float = 1e-3
    source_batch: int = 64  # source instances drawn for a step
    target_batch: int = 64  # target instances drawn for a step, at most all
    epsilon: float = 0.1  # in units of the squared distance
    relative_epsilon: bool = False  # in units of the mean squared distance instead
    features: FeatureSpace = "penultimate"
    normalise: bool = False  # every feature vector to length 1
    weight: float = 1.0  # of the task difference W_T
    domain_weight: float = 0.0  # of the domain difference W_D
    task_weight: float = 0.0  # of the cross-entropy of the shots, through a new head
    source_weight: float = 0.0  # of the source cross-entropy; it guards the source
    gamma: float = 1.0  # weight of features in the cost; the rest, of class means
    moves: str = "features"  # all but the head, or a mode of `trainable_layers`
    batch_norm: BatchNorm = "frozen"  # "adapt": to both sides in one batch

    def __post_init__(self) -> None:
        _check(self)


def _check(guide: Guide) -> None:
    for name in ("steps", "source_batch", "target_batch"):
        as_count(name, getattr(guide, name))
    for name in ("learning_rate", "epsilon"):
        as_real(name, getattr(guide, name), above=0)
    for name in ("weight", "domain_weight", "task_weight", "source_weight"):
        as_real(name, getattr(guide, name), least=0)
    if not 0 < guide.gamma <= 1:
        raise ValueError(f"gamma: {guide.gamma} is not above 0 and at most 1")
    for name, known in (
        ("features", FEATURE_SPACES),
        ("batch_norm", get_args(BatchNorm)),
    ):
        if getattr(guide, name) not in known:
            raise ValueError(
                f"unknown {name} {getattr(guide, name)!r}; available: "
                f"{', '.join(known)}"
            )


# For one label an image, as docs/few_shot.md found it best: as published,
# the guide gained nothing there.
IMAGES = Guide(
    steps=60,
    source_batch=32,
    relative_epsilon=True,
    domain_weight=0.05,
    task_weight=1.0,
    source_weight=1.0,
    batch_norm="adapt",
)
# For label maps an instance is a pixel, of a few images a step. The two cross-entropies
# keep what the network knows of the source, and of the target's classes.
PIXELS = Guide(
    steps=40, source_batch=1024, target_batch=1024, task_weight=1.0, source_weight=1.0
)


def default_guide(shots: Dataset) -> Guide:
    """Return `PIXELS` for label maps and `IMAGES` for one label an image.

    `Guide()` is the guide as published.
    """
    return PIXELS if np.ndim(shots[0]["label"]) else IMAGES


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Alignment:
    """The terms that the plan of one batch gives; no derivatives."""

    task_difference: Any  # W_T = H(Yt|Ys) in nats, within 0..log(target classes)
    domain_difference: Any  # W_D, mean squared distance under the plan
    marginal_error: Any  # L1, both sides together
    converged: Any


def alignment_loss(
    source_features: Float[Array, "n d"],
    source_labels: Int[Array, " n"],
    target_features: Float[Array, "m d"],
    target_labels: Int[Array, " m"],
    *,
    num_source_classes: int,
    num_classes: int,
    guide: Guide,
    source_weights: Float[Array, " n"] | None = None,
    target_weights: Float[Array, " m"] | None = None,
    settings: Settings = SETTINGS,
) -> tuple[Float[Array, ""], Alignment]:
    r"""Weighted sum of task and domain difference of two batches; smaller is better.

    $$w_T\, H(Y_t \mid Y_s) + w_D \sum_{ij} \pi_{ij} \|x_i - y_j\|^2$$

    Differentiable in both clouds and weights, through the plan, by implicit
    differentiation at the solution; `jit`, `vmap` and `grad` compose with it.

    Args:
        source_features: source instances; see `read_features`.
        source_labels: classes in `[0, num_source_classes)`.
        target_features: target instances, of the same network.
        target_labels: classes in `[0, num_classes)`.
        num_source_classes: static, as it fixes a shape.
        num_classes: likewise.
        guide: epsilon and the weights; what else it says is not used here.
        source_weights: of the instances, at least 0; 1 by default. The label of an
            instance of weight 0 may be anything.
        target_weights: likewise.
        settings: when the solver stops.

    Returns:
        The loss, and what it consists of. Both are NaN if a side has no weight.
    """
    dtype = source_features.dtype
    problem = Problem(
        source=_cloud(source_features, guide),
        target=_cloud(target_features, guide),
        source_weights=_shares(source_features, source_weights),
        target_weights=_shares(target_features, target_weights),
        source_labels=jax.nn.one_hot(source_labels, num_source_classes, dtype=dtype),
        target_labels=jax.nn.one_hot(target_labels, num_classes, dtype=dtype),
    )
    epsilon = jnp.asarray(guide.epsilon, dtype)
    if guide.relative_epsilon:
        epsilon = epsilon * mean_cost(problem)
    if guide.gamma == 1:
        found = couple(problem, epsilon=epsilon, settings=settings)
        domain = found.cost
    else:
        extended, further = _with_class_means(problem, guide.gamma)
        found = couple(extended, epsilon=epsilon, settings=settings)
        domain = (found.cost - jnp.sum(found.joint * further)) / guide.gamma
    task = entropy_given_rows(found.joint)
    loss = guide.weight * task
    if guide.domain_weight:
        loss = loss + guide.domain_weight * domain
    parts = Alignment(task, domain, found.marginal_error, found.converged)
    return loss, lax.stop_gradient(parts)


def read_features(output: Output, features: FeatureSpace) -> Array:
    """Return the features that a guide names: `(n, d)`, or a map `(n, h, w, d)`."""
    if features == "penultimate":
        return output.features
    if features == "logits":
        return output.logits
    return jax.nn.softmax(output.logits)


def _cloud(points: Float[Array, "n d"], guide: Guide) -> Float[Array, "n d"]:
    if not guide.normalise:
        return points
    # Inside the root, so that a vector of zeros has a finite derivative.
    return points / jnp.sqrt(jnp.sum(points**2, axis=1, keepdims=True) + 1e-12)


def _shares(points: Float[Array, "n d"], weights: Array | None) -> Float[Array, " n"]:
    if weights is None:
        return jnp.full(len(points), 1 / len(points), points.dtype)
    return weights / weights.sum()


def _with_class_means(
    problem: Problem, gamma: float
) -> tuple[Problem, Float[Array, "s t"]]:
    """Add `1 - gamma` times the distance of class means to the cost (JC-OTCE).

    The distances are held constant. They enter as further coordinates, whose inner
    product is minus half of the distance of the two labels.

    Returns:
        The problem, and what the further coordinates add to the squared distance.
    """
    x, y = lax.stop_gradient((problem.source, problem.target))
    sums = problem.source_labels.T * problem.source_weights
    source_means = safe_divide(sums @ x, sums.sum(axis=1, keepdims=True))
    sums = problem.target_labels.T * problem.target_weights
    target_means = safe_divide(sums @ y, sums.sum(axis=1, keepdims=True))
    distances = jnp.sum(
        (source_means[:, None] - target_means[None]) ** 2, axis=2
    )  # (s, t)
    rows = -(1 - gamma) / 2 * distances
    left = problem.source_labels @ rows
    root = gamma**0.5
    extended = dataclasses.replace(
        problem,
        source=jnp.concatenate([root * problem.source, left], axis=1),
        target=jnp.concatenate([root * problem.target, problem.target_labels], axis=1),
    )
    return extended, jnp.sum(rows**2, axis=1, keepdims=True) + 1 - 2 * rows

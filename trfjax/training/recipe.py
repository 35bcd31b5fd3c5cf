"""How a network is trained, as a value, and the optimiser made from it."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, get_args

import jax
import optax
from jaxtyping import PyTree

from trfjax.training.augment import STANDARD, Augment
from trfjax.trees import leaf_path

ClassWeighting = Literal["none", "sqrt", "balanced"]
BatchNorm = Literal["adapt", "frozen"]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything that decides what training does, apart from the network and data."""

    steps: int = 250
    batch_size: int = 8
    learning_rate: float = 2e-2  # at its peak
    weight_decay: float = 1e-4  # of kernels only: not of biases and norms
    warmup: float = 0.1  # share of the steps with a rising learning rate
    final: float = 0.01  # learning rate at the end, as a share of the peak
    clip: float = 1.0  # largest norm of the gradient
    augment: Augment = STANDARD
    aux_weight: float = 0.0  # of the loss on auxiliary logits, where a network has any
    class_weighting: ClassWeighting = "none"
    batch_norm: BatchNorm = "adapt"  # "frozen": statistics stay, dropout is off
    seed: int = 0

    def __post_init__(self) -> None:
        _check(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as plain values."""
        return dataclasses.asdict(self)


def _check(recipe: Recipe) -> None:
    for name in ("steps", "batch_size"):
        if getattr(recipe, name) < 1:
            raise ValueError(f"{name}: {getattr(recipe, name)} must be at least 1")
    for name in ("learning_rate", "clip"):
        if not getattr(recipe, name) > 0:
            raise ValueError(f"{name}: {getattr(recipe, name)} must be above 0")
    for name in ("weight_decay", "aux_weight", "seed"):
        if not getattr(recipe, name) >= 0:
            raise ValueError(f"{name}: {getattr(recipe, name)} must not be negative")
    for name in ("warmup", "final"):
        if not 0 <= getattr(recipe, name) <= 1:
            raise ValueError(f"{name}: {getattr(recipe, name)} is not within 0..1")
    for name, known in (
        ("class_weighting", get_args(ClassWeighting)),
        ("batch_norm", get_args(BatchNorm)),
    ):
        if getattr(recipe, name) not in known:
            raise ValueError(
                f"unknown {name} {getattr(recipe, name)!r}; available: "
                f"{', '.join(known)}"
            )


def schedule(recipe: Recipe) -> optax.Schedule:
    """Return the learning rate by step: a linear rise, then a cosine to the end."""
    peak = recipe.learning_rate
    rise = min(round(recipe.warmup * recipe.steps), recipe.steps - 1)
    fall = optax.cosine_decay_schedule(peak, recipe.steps - rise, recipe.final)
    if rise == 0:
        return fall
    start = optax.linear_schedule(peak / 10, peak, rise)
    return optax.join_schedules([start, fall], [rise])


def optimiser(
    recipe: Recipe, *, trainable: frozenset[str] | None = None
) -> optax.GradientTransformation:
    """Return AdamW with clipping and the schedule.

    Args:
        recipe: the settings.
        trainable: paths of the layers that move, such as `decoder/3/conv2`; the
            others get no update at all. None moves everything.
    """
    moving = optax.chain(
        optax.clip_by_global_norm(recipe.clip),
        optax.adamw(
            schedule(recipe), weight_decay=recipe.weight_decay, mask=decayed_leaves
        ),
    )
    if trainable is None:
        return moving

    def label(params: PyTree) -> PyTree:
        return jax.tree_util.tree_map_with_path(
            lambda keys, _: "moves" if layer_of(keys) in trainable else "stays", params
        )

    return optax.partition({"moves": moving, "stays": optax.set_to_zero()}, label)


def layer_of(keys: tuple[Any, ...]) -> str:
    """Return the path of the layer that holds a leaf, such as `decoder/3/conv2`."""
    return leaf_path(keys[:-1])


def decayed_leaves(params: PyTree) -> PyTree:
    """Say which leaves weight decay applies to: kernels, not biases and norms."""
    return jax.tree_util.tree_map_with_path(
        lambda keys, leaf: leaf_path(keys[-1:]) == "kernel" and leaf.ndim > 1, params
    )

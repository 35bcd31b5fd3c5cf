"""How a network is trained, as a value, and the optimiser made from it."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, get_args

import jax
import optax
from jaxtyping import PyTree

from trfjax.numbers import as_count, as_real, as_seed
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
    dice_weight: float = 0.0  # of the Dice loss beside the cross-entropy
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
        as_count(name, getattr(recipe, name))
    for name in ("learning_rate", "clip"):
        as_real(name, getattr(recipe, name), above=0)
    for name in ("weight_decay", "aux_weight", "dice_weight"):
        as_real(name, getattr(recipe, name), least=0)
    for name in ("warmup", "final"):
        as_real(name, getattr(recipe, name), least=0, most=1)
    as_seed("seed", recipe.seed)
    for name, known in (
        ("class_weighting", get_args(ClassWeighting)),
        ("batch_norm", get_args(BatchNorm)),
    ):
        if getattr(recipe, name) not in known:
            raise ValueError(
                f"unknown {name} {getattr(recipe, name)!r}; available: "
                f"{', '.join(known)}"
            )


def schedule(recipe: Recipe | AdamW) -> optax.Schedule:
    """Return the learning rate by step: a linear rise, then a cosine to the end."""
    peak = recipe.learning_rate
    rise = min(round(recipe.warmup * recipe.steps), recipe.steps - 1)
    fall = optax.cosine_decay_schedule(peak, recipe.steps - rise, recipe.final)
    if rise == 0:
        return fall
    start = optax.linear_schedule(peak / 10, peak, rise)
    return optax.join_schedules([start, fall], [rise])


@dataclasses.dataclass(frozen=True)
class AdamW:
    """AdamW with clipping and a schedule, as a value: equal ones compile once."""

    steps: int
    learning_rate: float
    weight_decay: float
    warmup: float
    final: float
    clip: float
    trainable: frozenset[str] | None  # paths of the layers that move; None: all

    def init(self, params: PyTree) -> PyTree:
        """Return the state before the first step."""
        return self._chain().init(params)

    def update(
        self, gradient: PyTree, state: PyTree, params: PyTree
    ) -> tuple[PyTree, PyTree]:
        """Return what is added to the parameters, and the new state."""
        return self._chain().update(gradient, state, params)

    def _chain(self) -> optax.GradientTransformation:
        moving = optax.chain(
            optax.clip_by_global_norm(self.clip),
            optax.adamw(
                schedule(self), weight_decay=self.weight_decay, mask=decayed_leaves
            ),
        )
        if self.trainable is None:
            return moving
        return optax.partition(
            {"moves": moving, "stays": optax.set_to_zero()}, self._labels
        )

    def _labels(self, params: PyTree) -> PyTree:
        def label(keys: tuple[Any, ...], _: Any) -> str:
            return "moves" if layer_of(keys) in (self.trainable or ()) else "stays"

        return jax.tree_util.tree_map_with_path(label, params)


def optimiser(recipe: Recipe, *, trainable: frozenset[str] | None = None) -> AdamW:
    """Return the rule of a recipe: AdamW with clipping and the schedule.

    Args:
        recipe: the settings.
        trainable: paths of the layers that move, such as `decoder/3/conv2`; the
            others get no update at all. None moves everything.
    """
    names = ("steps", "learning_rate", "weight_decay", "warmup", "final", "clip")
    return AdamW(**{n: getattr(recipe, n) for n in names}, trainable=trainable)


def layer_of(keys: tuple[Any, ...]) -> str:
    """Return the path of the layer that holds a leaf, such as `decoder/3/conv2`."""
    return leaf_path(keys[:-1])


def decayed_leaves(params: PyTree) -> PyTree:
    """Say which leaves weight decay applies to: kernels, not biases and norms."""
    return jax.tree_util.tree_map_with_path(
        lambda keys, leaf: leaf_path(keys[-1:]) == "kernel" and leaf.ndim > 1, params
    )

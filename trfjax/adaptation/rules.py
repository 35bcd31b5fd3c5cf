"""Rules of the published methods as values: equal ones compile once."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable
from typing import Any

import jax
import optax
from jaxtyping import PyTree

from trfjax.trees import leaf_path


@dataclasses.dataclass(frozen=True)
class PolySGD:
    r"""SGD with momentum as in torch, and $\eta_t = \eta_0 (1 - t/T)^{0.9}$.

    Weight decay is added to the gradient before the momentum.
    """

    learning_rate: float
    steps: int  # T, where the rate is 0
    momentum: float = 0.9
    weight_decay: float = 5e-4
    power: float = 0.9
    head: tuple[str, ...] = ()  # paths of layers with a rate of their own
    head_factor: float = 10.0  # on their rate

    def init(self, params: PyTree) -> PyTree:
        """Return the state before the first step."""
        return self._chain().init(params)

    def update(
        self, gradient: PyTree, state: PyTree, params: PyTree
    ) -> tuple[PyTree, PyTree]:
        """Return what is added to the parameters, and the new state."""
        return self._chain().update(gradient, state, params)

    def _chain(self) -> optax.GradientTransformation:
        if not self.head:
            return self._group(1.0)
        groups: dict[Hashable, optax.GradientTransformation] = {
            "head": self._group(self.head_factor),
            "rest": self._group(1.0),
        }
        return optax.partition(groups, self._labels)

    def _group(self, factor: float) -> optax.GradientTransformation:
        rate = poly(factor * self.learning_rate, self.steps, self.power)
        return optax.chain(
            optax.add_decayed_weights(self.weight_decay),
            optax.trace(self.momentum),
            optax.scale_by_learning_rate(rate),
        )

    def _labels(self, params: PyTree) -> PyTree:
        def label(keys: tuple[Any, ...], _: Any) -> str:
            path = leaf_path(keys).removeprefix("network/") + "/"
            return "head" if path.startswith(self._heads()) else "rest"

        return jax.tree_util.tree_map_with_path(label, params)

    def _heads(self) -> tuple[str, ...]:
        return tuple(f"{name}/" for name in self.head)


@dataclasses.dataclass(frozen=True)
class PolyAdam:
    """Adam with the rate of `PolySGD`, for discriminators."""

    learning_rate: float = 1e-4
    steps: int = 250_000
    betas: tuple[float, float] = (0.9, 0.99)
    power: float = 0.9

    def init(self, params: PyTree) -> PyTree:
        """Return the state before the first step."""
        return self._chain().init(params)

    def update(
        self, gradient: PyTree, state: PyTree, params: PyTree
    ) -> tuple[PyTree, PyTree]:
        """Return what is added to the parameters, and the new state."""
        return self._chain().update(gradient, state, params)

    def _chain(self) -> optax.GradientTransformation:
        rate = poly(self.learning_rate, self.steps, self.power)
        return optax.adam(rate, b1=self.betas[0], b2=self.betas[1])


def poly(start: float, steps: int, power: float = 0.9) -> optax.Schedule:
    """Return the polynomial decay from `start` to 0, which stays 0."""
    return optax.polynomial_schedule(start, 0.0, power, steps)

"""AdaptSegNet, FCD and FCD-Light: predictions whose domain cannot be told.

Tsai et al., "Learning to Adapt Structured Output Space for Semantic Segmentation",
CVPR 2018; FCD-Light and BiSeNet: Bartoletti, Bulfamante and Sciortino, "Multiple Layer
Self Supervised Learning for Real-time Semantic Segmentation". Deviations are listed in
docs/adaptation.md.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from trfjax.adaptation.dann import told_apart
from trfjax.adaptation.losses import Adversarial, fooling_loss, telling_loss
from trfjax.adaptation.method import Begun, Method, Pair, Setting
from trfjax.adaptation.rules import PolyAdam
from trfjax.adaptation.view import View, source_loss, summed, view
from trfjax.models.discriminators import create_discriminator
from trfjax.state import ModelCard, Output, SourceModel, apply
from trfjax.training.recipe import Recipe
from trfjax.training.step import Outcome, Rule, Seen, State


@dataclasses.dataclass(frozen=True)
class Structured(Method):
    r"""Adversarial alignment of the softmax of the logits, on one level or more.

    $$L = \mathrm{CE}_s + \sum_l \lambda_l\, \ell(D_l(P^l_t)), \qquad
    L_D = \tfrac12 \sum_l \left[\ell(D_l(P^l_s), 1) + \ell(D_l(P^l_t), 0)\right]$$

    Level 0 are the logits, level 1 the first auxiliary ones, and so on.
    """

    weights: tuple[float, ...] = (0.001,)  # of every level
    kind: Adversarial = "ce"
    discriminator: Literal["fcd", "fcd_light"] = "fcd"
    num_layers: int = 5  # of the discriminators; fewer for small images
    learning_rate: float = 1e-4  # of the discriminators

    def __post_init__(self) -> None:
        if not self.weights or min(self.weights) < 0:
            raise ValueError(
                f"weights: {self.weights} must name one of at least 0 for every level"
            )

    def init(
        self, model: SourceModel, card: ModelCard, image: tuple[int, ...], *, key: Any
    ) -> Begun:
        """Return a discriminator for every level.

        Raises:
            ValueError: a network without maps, or without enough auxiliary logits.
        """
        images = jax.ShapeDtypeStruct((2, *image), "float32")
        first, *others = jax.eval_shape(
            lambda m, x: _levels(apply(m, x, aux=True)), model, images
        )
        levels = len(others) + 1
        if len(first.shape) != 4:
            raise ValueError(
                f"{card.name} returns one vector an image, and a discriminator of "
                "patches judges maps. Use method='dann'."
            )
        if len(self.weights) > levels:
            raise ValueError(
                f"weights: {len(self.weights)} levels, and {card.name} has "
                f"{levels}. Give {levels} or fewer, or take a network with auxiliary "
                "logits."
            )
        judges = {
            f"level{i}": create_discriminator(
                self.discriminator,
                first.shape[-1],
                num_layers=self.num_layers,
                key=jax.random.fold_in(key, i),
            )
            for i in range(len(self.weights))
        }
        return Begun(discriminators=judges)

    def loss(
        self,
        setting: Setting,
        params: PyTree,
        state: State,
        batch: Pair,
        key: PRNGKeyArray,
    ) -> tuple[Array, Outcome]:
        """Return the loss of the network; the discriminators are constants."""
        need = len(self.weights) > 1 and not setting.weights.aux
        if need:
            raise ValueError(
                "aux_weight: 0, and the weights name more than one level. Use a recipe "
                "with aux_weight above 0, such as the published 0.1."
            )
        seen = view(self, setting, params, state, batch, key)
        terms, shown = {"source": (1.0, source_loss(setting, seen))}, {}
        for name, term, pair in self.adversaries(setting, state, seen):
            terms[f"fooling_{name}"], shown[name] = term, pair
        return summed(seen, state, terms, shown=shown)

    def adversaries(
        self, setting: Setting, state: State, seen: View
    ) -> list[tuple[str, tuple[float, Array], tuple[Array, Array]]]:
        """Return name, weighted term, and source and target predictions of levels."""
        found = []
        sources, targets = _levels(seen.source), _levels(seen.target)
        for i, weight in enumerate(self.weights):
            source, target = sources[i], targets[i]
            name, probs = f"level{i}", jax.nn.softmax(target)
            verdict = setting.judge(name, state.discriminator, probs)
            term = weight, fooling_loss(verdict, kind=self.kind)
            found.append((name, term, (jax.nn.softmax(source), probs)))
        return found

    def discriminator_loss(
        self,
        setting: Setting,
        discriminator: PyTree,
        state: State,
        batch: Pair,
        shown: PyTree,
        key: PRNGKeyArray,
    ) -> tuple[Array, Seen]:
        """Return the loss of the discriminators, and how often they are right."""
        total: Array = jnp.zeros(())
        record: Seen = {}
        middle = 0.0 if self.kind == "ce" else 0.5
        for name, (source, target) in sorted(shown.items()):
            verdicts = (
                setting.judge(name, discriminator, source),
                setting.judge(name, discriminator, target),
            )
            total += telling_loss(*verdicts, kind=self.kind)
            record[f"told_{name}"] = told_apart(*verdicts, middle=middle)
        return total, record

    def discriminator_rule(self, recipe: Recipe) -> Rule | None:
        """Return Adam with the published decay, over the steps of the recipe."""
        return PolyAdam(learning_rate=self.learning_rate, steps=recipe.steps)


def _levels(output: Output) -> tuple[Float[Array, "b h w k"], ...]:
    return (output.logits, *output.aux)


SINGLE = Structured()
MULTI = Structured(weights=(0.001, 0.0002))
LEAST_SQUARES = Structured(weights=(0.01,), kind="ls")
FCD = Structured()  # the report gives no weight; on BiSeNet with aux_weight=1
FCD_LIGHT = Structured(discriminator="fcd_light")

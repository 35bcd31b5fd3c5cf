"""MPT self-training: the network learns its surest predictions on the target.

Bartoletti, Bulfamante and Sciortino, "Multiple Layer Self Supervised Learning for
Real-time Semantic Segmentation" (SSL, SSL-2, SSL-3), after Li et al., "Bidirectional
Learning for Domain Adaptation of Semantic Segmentation", CVPR 2019. Deviations are
listed in docs/adaptation.md.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from trfjax.adaptation.adversarial import FCD, Structured
from trfjax.adaptation.method import Begun, Method, Pair, Setting
from trfjax.adaptation.pseudo import Rule as VoteRule
from trfjax.adaptation.pseudo import vote
from trfjax.adaptation.view import source_loss, summed, view
from trfjax.state import ModelCard, SourceModel, apply
from trfjax.training.evaluate import standardise
from trfjax.training.recipe import Recipe
from trfjax.training.step import Outcome, Rule, Seen, State
from trfjax.training.supervised import Batch, label_loss
from trfjax.typing import IGNORE


@dataclasses.dataclass(frozen=True)
class SelfTraining(Method):
    r"""Cross-entropy of the source and of pseudo labels, beside an adversary.

    $$L = \mathrm{CE}_s + w\, \mathrm{CE}(P_t, \hat Y_t)
    + \sum_l \lambda_l\, \ell(D_l(P^l_t))$$

    The network as it came labels every target image, whole and in evaluation mode,
    where it is surer than the threshold. It stays in memory instead of its labels,
    which are the same: one more pass a step, and nothing to store.
    """

    threshold: float = 0.9  # of the largest probability, strictly
    layers: int = 1  # that vote: logits, then auxiliary ones
    rule: VoteRule = "max_confidence"
    weight: float = 1.0  # w, of pseudo labels
    adversary: Structured | None = FCD

    def __post_init__(self) -> None:
        if self.layers < 1:
            raise ValueError(f"layers: {self.layers} must be at least 1")

    def init(
        self, model: SourceModel, card: ModelCard, image: tuple[int, ...], *, key: Any
    ) -> Begun:
        """Return the adversary's discriminators, and the network that labels.

        Raises:
            ValueError: more layers than the network has.
        """
        images = jax.ShapeDtypeStruct((2, *image), "float32")
        aux = jax.eval_shape(lambda m, x: apply(m, x, aux=True).aux, model, images)
        if self.layers > len(aux) + 1:
            raise ValueError(
                f"layers: {self.layers}, and {card.name} has {len(aux) + 1} with its "
                "auxiliary logits"
            )
        judges = {}
        if self.adversary is not None:
            begun = self.adversary.init(model, card, image, key=key)
            judges = begun.discriminators
        labeller = {"params": model.params, "stats": model.stats}
        return Begun(discriminators=judges, memory={"labeller": labeller})

    def targets(
        self, setting: Setting, state: State, batch: Pair, key: PRNGKeyArray
    ) -> tuple[Pair, PyTree]:
        """Return the batch with pseudo labels."""
        labels = self.label(setting, state, batch.target)
        target = dataclasses.replace(batch.target, labels=labels)
        return dataclasses.replace(batch, target=target), state.memory

    def label(
        self, setting: Setting, state: State, target: Batch
    ) -> Int[Array, "b ..."]:
        """Return the pseudo labels of images as they are stored."""
        layers = predict(setting, state.memory["labeller"], target, self.layers)
        found = vote(layers, self.threshold, rule=self.rule)
        return widened(found, target)

    def loss(
        self,
        setting: Setting,
        params: PyTree,
        state: State,
        batch: Pair,
        key: PRNGKeyArray,
    ) -> tuple[Array, Outcome]:
        """Return the loss above; "labelled" is the share of pixels with a label."""
        seen = view(self, setting, params, state, batch, key)
        terms = {
            "source": (1.0, source_loss(setting, seen)),
            "pseudo": (self.weight, label_loss(seen.target.logits, seen.target_batch)),
        }
        shown = {}
        if self.adversary is not None:
            for name, term, pair in self.adversary.adversaries(setting, state, seen):
                terms[f"fooling_{name}"], shown[name] = term, pair
        total, outcome = summed(seen, state, terms, shown=shown)
        share = jnp.mean(seen.target_batch.labels != IGNORE)
        return total, outcome._replace(seen=outcome.seen | {"labelled": share})

    def discriminator_loss(
        self,
        setting: Setting,
        discriminator: PyTree,
        state: State,
        batch: Pair,
        shown: PyTree,
        key: PRNGKeyArray,
    ) -> tuple[Array, Seen]:
        """Return that of the adversary."""
        assert self.adversary is not None  # else there is no discriminator
        return self.adversary.discriminator_loss(
            setting, discriminator, state, batch, shown, key
        )

    def discriminator_rule(self, recipe: Recipe) -> Rule | None:
        """Return that of the adversary."""
        if self.adversary is None:
            return None
        return self.adversary.discriminator_rule(recipe)


def predict(
    setting: Setting, kept: PyTree, target: Batch, layers: int = 1
) -> Float[Array, "l b ... k"]:
    """Return the probabilities of a kept network, in evaluation mode.

    Args:
        setting: with the structure of the network.
        kept: its parameters and statistics.
        target: images as they are stored.
        layers: logits, and how many auxiliary ones less one.
    """
    model = SourceModel(kept["params"], kept["stats"], setting.graphdef)
    images = standardise(target.images / 255.0, target.scale)
    output = apply(model, images, aux=layers > 1)
    return jax.nn.softmax(jnp.stack([output.logits, *output.aux[: layers - 1]]))


def widened(labels: Int[Array, "b ..."], target: Batch) -> Int[Array, "b ..."]:
    """Return labels at the size of the images, for networks that lose a border."""
    wanted = target.labels.shape
    if labels.shape == wanted:
        return labels
    pads = [
        ((want - have) // 2, want - have - (want - have) // 2)
        for have, want in zip(labels.shape, wanted, strict=True)
    ]
    return jnp.pad(labels, pads, constant_values=IGNORE)


SSL = SelfTraining()
SSL_2 = SelfTraining(layers=2)
SSL_3 = SelfTraining(layers=3)
SSL_3_MAJORITY = SelfTraining(layers=3, rule="majority")
PLAIN = SelfTraining(adversary=None)  # for images too

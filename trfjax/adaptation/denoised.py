"""ProDA, stage 1: pseudo labels denoised by prototypes, and target structure.

Zhang et al., "Prototypical Pseudo Label Denoising and Target Structure Learning for
Domain Adaptive Semantic Segmentation", CVPR 2021. Deviations are listed in
docs/adaptation.md.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

from trfjax.adaptation.domains import pass_domains
from trfjax.adaptation.losses import (
    divergence,
    symmetric_cross_entropy,
    uniform_regulariser,
)
from trfjax.adaptation.method import NETWORK, Begun, Looks, Method, Pair, Setting
from trfjax.adaptation.prototypes import Prototypes, labels_at, moved, nearness
from trfjax.adaptation.teacher import ema
from trfjax.adaptation.view import View, source_loss, summed
from trfjax.state import ModelCard, Output, SourceModel, apply
from trfjax.training.augment import Augment, augment
from trfjax.training.evaluate import standardise
from trfjax.training.losses import fit_labels
from trfjax.training.step import Outcome, State
from trfjax.training.supervised import augmented
from trfjax.typing import IGNORE

STRONG = Augment(
    flip=0.0, scale=0.0, brightness=0.4, contrast=0.4, saturation=0.4, gamma=0.3
)


@dataclasses.dataclass(frozen=True)
class Denoised(Method):
    r"""Symmetric cross-entropy of rectified pseudo labels, and structure learning.

    $$L = \mathrm{CE}_s + \mathrm{SCE}(P_t, \hat Y_t)
    + \frac{\gamma_1}{K} \mathrm{KL}(z_w \| z_s) + \gamma_2 \mathrm{MRKLD}(P_t), \qquad
    \hat Y = \arg\max_k \omega_k\, p_{t,0}^k$$

    $p_{t,0}$ are the predictions of the network as it came; $\omega$ and $z$ are the
    nearness of features to prototypes: of the teacher on a weak view, and for $z_s$ of
    the network on a strong one.
    """

    temperature: float = 1.0  # tau
    structure: float = 10.0  # gamma_1
    regulariser: float = 0.1  # gamma_2
    rate: float = 0.999  # of the teacher
    momentum: float = 0.9999  # of the prototypes
    forward: float = 0.1  # weight of the cross-entropy in SCE
    denoise: bool = True  # False: omega is 1, plain self-training with SCE

    @property
    def rounds(self) -> int:
        """One: the first prototypes, before the first step."""
        return 1

    def init(
        self, model: SourceModel, card: ModelCard, image: tuple[int, ...], *, key: Any
    ) -> Begun:
        """Return the network as it came, the teacher, and room for prototypes.

        Raises:
            ValueError: a network that returns no maps.
        """
        images = jax.ShapeDtypeStruct((2, *image), "float32")
        features = jax.eval_shape(lambda m, x: apply(m, x).features, model, images)
        if len(features.shape) != 4:
            raise ValueError(
                f"{card.name} returns one vector an image, and prototypes of pixels "
                "need maps. Use method='self_training'."
            )
        k = len(card.class_names)
        empty = Prototypes(jnp.zeros((k, features.shape[-1])), jnp.zeros(k, bool))
        kept = {"params": model.params, "stats": model.stats}
        return Begun(memory={"first": kept, "teacher": kept, "prototypes": empty})

    def round(self, number: int, state: State, looks: Looks) -> PyTree:
        """Return the memory with the centroids of the target by predicted class.

        A running mean over images of the centroids of classes with ten pixels or more.
        """
        found = state.memory["prototypes"]
        total, images = jnp.zeros_like(found.means), jnp.zeros(len(found.means))
        for glance in looks():
            labels = labels_at(jnp.asarray(glance.probs).argmax(-1), glance.features)
            rows = glance.features.reshape(*labels.shape, -1)
            for features, classes in zip(rows, labels, strict=True):
                blank = Prototypes(jnp.zeros_like(total), jnp.zeros(len(total), bool))
                one = moved(blank, features[None], classes[None], momentum=0.0)
                total, images = total + one.means, images + one.present
        means = total / jnp.maximum(images, 1)[:, None]
        return {**state.memory, "prototypes": Prototypes(means, images > 0)}

    def loss(
        self,
        setting: Setting,
        params: PyTree,
        state: State,
        batch: Pair,
        key: PRNGKeyArray,
    ) -> tuple[Array, Outcome]:
        """Return the loss above; "changed" is the share of labels that omega moved."""
        seen, strong, weak_images, valid = self._views(
            setting, params, state, batch, key
        )
        teacher, first = (
            apply(_network(setting, state.memory[name]), weak_images)
            for name in ("teacher", "first")
        )
        prototypes = state.memory["prototypes"]

        def near(features: Array) -> Array:
            return nearness(features, prototypes, temperature=self.temperature)

        logits = seen.target.logits
        weak = near(teacher.features)
        plain = jax.nn.softmax(first.logits)
        weights = resized(jnp.exp(weak), logits) if self.denoise else 1.0
        labels = jnp.where(valid, (weights * plain).argmax(axis=-1), IGNORE)
        inside = labels_at(valid.astype(jnp.int32), weak).reshape(weak.shape[:-1]) > 0
        k = logits.shape[-1]
        terms = {
            "source": (1.0, source_loss(setting, seen)),
            "pseudo": (
                1.0,
                symmetric_cross_entropy(logits, labels, forward=self.forward),
            ),
            "structure": (
                self.structure / k,
                divergence(weak, near(strong.features), inside),
            ),
            "regulariser": (self.regulariser, uniform_regulariser(logits, valid)),
        }
        total, outcome = summed(seen, state, terms)
        classes = jnp.where(
            inside.reshape(len(inside), -1),
            labels_at(teacher.logits.argmax(axis=-1), weak),
            -1,
        )
        rows = teacher.features.reshape(*classes.shape, -1)
        after = moved(prototypes, rows, classes, momentum=self.momentum)
        changed = ((plain.argmax(axis=-1) != labels) & valid).mean()
        return total, outcome._replace(
            memory={**state.memory, "prototypes": after},
            seen=outcome.seen | {"changed": changed},
        )

    def after(self, setting: Setting, state: State, batch: Pair) -> PyTree:
        """Return the teacher nearer to the network; its statistics are copied."""
        teacher = state.memory["teacher"]["params"]
        params = ema(teacher, state.params[NETWORK], self.rate)
        return {**state.memory, "teacher": {"params": params, "stats": state.stats}}

    def _views(
        self,
        setting: Setting,
        params: PyTree,
        state: State,
        batch: Pair,
        key: PRNGKeyArray,
    ) -> tuple[View, Output, Float[Array, "b h w c"], Bool[Array, "b ..."]]:
        """Return source and weak view, the strong view, weak images, what is inside."""
        key_source, key_target, key_strong, key_drop = jax.random.split(key, 4)
        images, source = augmented(batch.source, setting.augment, key=key_source)
        ones = jnp.ones(batch.target.labels.shape)
        target = dataclasses.replace(batch.target, label_weights=ones)
        weak, target = augmented(target, setting.augment, key=key_target)
        pixels = weak * target.scale[1] + target.scale[0]
        pixels, _ = augment(pixels, target.labels, STRONG, key=key_strong)
        strong = standardise(pixels, target.scale)
        first, both, stats = pass_domains(
            setting.network(params, state.stats),
            images,
            jnp.concatenate([weak, strong]),
            policy=self.batch_norm,
            aux=setting.weights.aux > 0,
            key=key_drop,
        )
        n = len(weak)
        parts = [
            jax.tree.map(lambda x, s=s: x[s], both) for s in (slice(n), slice(n, None))
        ]
        seen = View(first, parts[0], source, target, stats)
        valid = fit_labels(target.label_weights, parts[0].logits) > 0
        return seen, parts[1], weak, valid


def resized(
    maps: Float[Array, "b ... k"], logits: Float[Array, "b ... k"]
) -> Float[Array, "b ... k"]:
    """Return maps at the size of the logits, bilinear."""
    if maps.shape == logits.shape:
        return maps
    return jax.image.resize(maps, logits.shape, "bilinear")


def _network(setting: Setting, kept: PyTree) -> SourceModel:
    return SourceModel(kept["params"], kept["stats"], setting.graphdef)


PRODA = Denoised()

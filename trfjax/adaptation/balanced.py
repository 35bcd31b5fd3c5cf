"""CBST and CRST: self-training in rounds, with the same share of every class.

Zou et al., "Unsupervised Domain Adaptation for Semantic Segmentation via Class-Balanced
Self-Training", ECCV 2018; Zou et al., "Confidence Regularized Self-Training", ICCV 2019
(MRKLD). Deviations are listed in docs/adaptation.md.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PRNGKeyArray, PyTree

from trfjax.adaptation.domains import Policy
from trfjax.adaptation.losses import uniform_regulariser
from trfjax.adaptation.method import NETWORK, Begun, Looks, Method, Pair, Setting
from trfjax.adaptation.pseudo import balanced_labels, balanced_thresholds
from trfjax.adaptation.self_training import predict, widened
from trfjax.adaptation.view import summed, view
from trfjax.state import ModelCard, SourceModel
from trfjax.training.losses import fit_labels
from trfjax.training.step import Outcome, State
from trfjax.training.supervised import Batch, label_loss
from trfjax.typing import IGNORE


@dataclasses.dataclass(frozen=True)
class Balanced(Method):
    r"""Cross-entropy of source and pseudo labels together, and a regulariser.

    $$L = \frac{\sum_{i \in s, t} -\log p_i[y_i]}{n_s + n_t}
    - \frac{\alpha}{n_t K} \sum_{i \in t} \sum_k \log p_{ik}$$

    At the start of round r the network as it is labels the target: of every class, the
    portion $\min(p_0 + r\,\Delta, p_{max})$ that it is surest of.
    """

    batch_norm: Policy = "frozen"
    count: int = 3  # rounds
    portion: float = 0.2  # of the first round
    growth: float = 0.05  # a round
    largest: float = 0.5  # portion
    stride: int = 4  # of the pixels that thresholds are read from, on both axes
    regulariser: float = 0.0  # alpha of MRKLD; 0.1 as published

    def __post_init__(self) -> None:
        for name in ("count", "stride"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} must be at least 1")
        for name in ("portion", "largest"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name}: {getattr(self, name)} is not within 0..1")

    @property
    def rounds(self) -> int:
        """How often the target is labelled."""
        return self.count

    def init(
        self, model: SourceModel, card: ModelCard, image: tuple[int, ...], *, key: Any
    ) -> Begun:
        """Return room for the network that labels and its thresholds."""
        kept = {"params": model.params, "stats": model.stats}
        ones = jnp.ones(len(card.class_names))
        return Begun(memory={"labeller": kept, "thresholds": ones})

    def round(self, number: int, state: State, looks: Looks) -> PyTree:
        """Return the network as it is, and thresholds of this round's portion."""
        confidence, labels, k = [], [], 0
        for glance in looks():
            probs = glance.probs
            if probs.ndim == 4:
                probs = probs[:, :: self.stride, :: self.stride]
            confidence.append(probs.max(axis=-1).ravel())
            labels.append(probs.argmax(axis=-1).ravel())
            k = probs.shape[-1]
        portion = min(self.portion + number * self.growth, self.largest)
        thresholds = balanced_thresholds(
            np.concatenate(confidence), np.concatenate(labels), k, portion=portion
        )
        kept = {"params": state.params[NETWORK], "stats": state.stats}
        return {"labeller": kept, "thresholds": jnp.asarray(thresholds)}

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
        probs = predict(setting, state.memory["labeller"], target)[0]
        return widened(balanced_labels(probs, state.memory["thresholds"]), target)

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
        sides = (
            (seen.source.logits, seen.source_batch),
            (seen.target.logits, seen.target_batch),
        )
        counts = [
            (fit_labels(side.labels, logits) != side.ignore).sum()
            for logits, side in sides
        ]
        total = jnp.maximum(counts[0] + counts[1], 1)
        values = [label_loss(logits, side) for logits, side in sides]
        terms = {
            "source": (counts[0] / total, values[0]),
            "pseudo": (counts[1] / total, values[1]),
        }
        if self.regulariser:
            valid = fit_labels(seen.target_batch.labels, seen.target.logits) != IGNORE
            term = uniform_regulariser(seen.target.logits, valid)
            terms["regulariser"] = (self.regulariser, term)
        value, outcome = summed(seen, state, terms)
        share = jnp.mean(seen.target_batch.labels != IGNORE)
        return value, outcome._replace(seen=outcome.seen | {"labelled": share})


CBST = Balanced()
CRST = Balanced(regulariser=0.1)

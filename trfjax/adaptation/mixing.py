"""DACS: half of the classes of a source image pasted onto a target image.

Tranheden et al., "DACS: Domain Adaptation via Cross-domain Mixed Sampling", WACV 2021.
Deviations are listed in docs/adaptation.md.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PRNGKeyArray, PyTree

from trfjax.adaptation.domains import check_sizes
from trfjax.adaptation.method import NETWORK, Begun, Method, Pair, Setting
from trfjax.adaptation.self_training import predict, widened
from trfjax.adaptation.teacher import ema, warm_rate
from trfjax.adaptation.view import source_loss, summed, view
from trfjax.state import ModelCard, SourceModel
from trfjax.training.losses import fit_labels, log_likelihood
from trfjax.training.step import Outcome, State
from trfjax.typing import IGNORE


@dataclasses.dataclass(frozen=True)
class Mixing(Method):
    r"""Cross-entropy of the source and of mixed images.

    $$L = \mathrm{CE}_s + \frac{w}{N} \sum_i q_i\, \mathrm{ce}_i$$

    over all N pixels of the mixed images. The weight q of a pasted pixel is 1; of a
    target pixel it is the share of the image on which the teacher, a moving average, is
    surer than the threshold.
    """

    threshold: float = 0.968  # of the teacher's confidence
    weight: float = 1.0  # w, of mixed images
    rate: float = 0.99  # of the teacher, reached after 1 / (1 - rate) steps

    def init(
        self, model: SourceModel, card: ModelCard, image: tuple[int, ...], *, key: Any
    ) -> Begun:
        """Return the teacher: the network as it came."""
        return Begun(memory={"params": model.params, "stats": model.stats})

    def targets(
        self, setting: Setting, state: State, batch: Pair, key: PRNGKeyArray
    ) -> tuple[Pair, PyTree]:
        """Return the batch with mixed images for the target's.

        Raises:
            ValueError: images of two sizes.
        """
        source, target = batch.source, batch.target
        check_sizes(source.images.shape[1:], target.images.shape[1:])
        probs = predict(setting, state.memory, target)[0]
        labels = widened(probs.argmax(axis=-1), target)
        sure = (probs.max(axis=-1) >= self.threshold).mean(axis=(1, 2))
        classes = probs.shape[-1]
        true = jnp.where(source.labels == source.ignore, IGNORE, source.labels)
        keys = jax.random.split(key, len(true))
        pasted = jax.vmap(lambda y, k: half_of_classes(y, classes, key=k))(true, keys)
        mixed = dataclasses.replace(
            target,
            images=jnp.where(pasted[..., None], source.images, target.images),
            labels=jnp.where(pasted, true, labels),
            label_weights=jnp.where(pasted, 1.0, sure[:, None, None]),
        )
        return dataclasses.replace(batch, target=mixed), state.memory

    def loss(
        self,
        setting: Setting,
        params: PyTree,
        state: State,
        batch: Pair,
        key: PRNGKeyArray,
    ) -> tuple[Array, Outcome]:
        """Return the loss above; "weight" is the mean of q."""
        seen = view(self, setting, params, state, batch, key)
        logits, mixed = seen.target.logits, seen.target_batch
        labels = fit_labels(mixed.labels, logits)
        valid = labels != IGNORE
        weights = jnp.where(valid, fit_labels(mixed.label_weights, logits), 0)
        losses = -log_likelihood(logits, jnp.where(valid, labels, 0))
        terms = {
            "source": (1.0, source_loss(setting, seen)),
            "mixed": (self.weight, (weights * losses).mean()),
        }
        total, outcome = summed(seen, state, terms)
        return total, outcome._replace(seen=outcome.seen | {"weight": weights.mean()})

    def after(self, setting: Setting, state: State, batch: Pair) -> PyTree:
        """Return the teacher a little nearer to the network."""
        rate = warm_rate(state.step - 1, rate=self.rate)  # the first step copies
        student = {"params": state.params[NETWORK], "stats": state.stats}
        return ema(state.memory, student, rate)


def half_of_classes(
    labels: Int[Array, "h w"], num_classes: int, *, key: PRNGKeyArray
) -> Bool[Array, "h w"]:
    """Return where half of the classes of a label map lie, drawn at random.

    Of n classes present, n/2 rounded up. Ignored pixels are never among them.

    Args:
        labels: class indices, or 255.
        num_classes: number of classes.
        key: where the classes are drawn.
    """
    present = jnp.bincount(labels.reshape(-1), length=IGNORE + 1)[:num_classes] > 0
    draw = jnp.where(present, jax.random.uniform(key, (num_classes,)), 2.0)
    rank = draw.argsort().argsort()
    chosen = rank < (present.sum() + 1) // 2
    valid = labels < num_classes
    return chosen[jnp.where(valid, labels, 0)] & valid


DACS = Mixing()

"""What the network sees of one step, and sums of named terms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from trfjax.adaptation.domains import pass_domains
from trfjax.adaptation.method import Method, Pair, Setting
from trfjax.state import Output
from trfjax.training.step import Outcome, State
from trfjax.training.supervised import Batch, augmented, output_loss


class View(NamedTuple):
    """The outputs of one step, of augmented images."""

    source: Output
    target: Output
    source_batch: Batch  # with labels moved as the images are
    target_batch: Batch
    stats: PyTree  # of batch norm, after both passes


def view(
    method: Method,
    setting: Setting,
    params: PyTree,
    state: State,
    batch: Pair,
    key: PRNGKeyArray,
) -> View:
    """Augment the images of a step and run the network on them."""
    key_source, key_target, key_drop = jax.random.split(key, 3)
    images, source_batch = augmented(batch.source, setting.augment, key=key_source)
    target_images, target_batch = augmented(
        batch.target, setting.augment, key=key_target
    )
    source, target, stats = pass_domains(
        setting.network(params, state.stats),
        images,
        target_images,
        policy=method.batch_norm,
        aux=setting.weights.aux > 0,
        key=key_drop,
    )
    return View(source, target, source_batch, target_batch, stats)


def source_loss(setting: Setting, seen: View) -> Float[Array, ""]:
    """Return the loss of `train` on the source, with that of auxiliary logits."""
    return output_loss(seen.source, seen.source_batch, setting.weights)


def summed(
    seen: View,
    state: State,
    terms: Mapping[str, tuple[float | Array, Array]],
    *,
    shown: PyTree = (),
) -> tuple[Array, Outcome]:
    """Return the weighted sum of named terms, each of which is recorded unweighted.

    Args:
        seen: whose statistics are kept.
        state: whose memory is kept.
        terms: weight and value by name.
        shown: predictions that the discriminator judges.
    """
    total = jnp.asarray(sum(weight * value for weight, value in terms.values()))
    record = {name: value for name, (_, value) in terms.items()}
    return total, Outcome(seen.stats, state.memory, record, shown)

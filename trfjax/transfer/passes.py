"""Source and target images of one step, seen by the network with either head."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from trfjax.state import Output, SourceModel, apply, apply_train
from trfjax.training.recipe import BatchNorm


class Passes(NamedTuple):
    """The outputs for both sides, and the statistics of the network after that."""

    source: Output  # through the head of the source
    target: Output  # through the head of the target
    target_as_source: Output  # through the head of the source
    stats: PyTree


def pass_both(
    source: SourceModel,
    target: SourceModel,
    source_images: Float[Array, "n h w c"],
    target_images: Float[Array, "m h w c"],
    *,
    batch_norm: BatchNorm,
    key: PRNGKeyArray,
) -> Passes:
    """Run source and target images through the network.

    Statistics that adapt are those of both sides in one batch. Normalised apart, both
    clouds would be centred and scaled alike whatever the images show, and distances
    between them would say little.

    Args:
        source: the network with the head of the source.
        target: the same with the head of the target.
        source_images: normalised.
        target_images: likewise, of the same size.
        batch_norm: "frozen": statistics stay, dropout is off.
        key: of dropout.
    """
    if batch_norm == "frozen":
        at_target = apply(target, target_images)
        as_source = _with_features(apply(source, target_images), at_target)
        at_source = apply(source, source_images)
        return Passes(at_source, at_target, as_source, target.stats)
    images = jnp.concatenate([source_images, target_images])
    new, stats = apply_train(target, images, key=key)
    old = _with_features(apply_train(source, images, key=key)[0], new)
    count = len(source_images)
    first, rest = slice(count), slice(count, None)
    return Passes(_part(old, first), _part(new, rest), _part(old, rest), stats)


def _with_features(output: Output, same: Output) -> Output:
    """Take the features of the pass of another head: equal, differentiated once."""
    return dataclasses.replace(output, features=same.features)


def _part(output: Output, images: slice) -> Output:
    return jax.tree.map(lambda leaf: leaf[images], output)

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
    """What the network returns for both sides, and its statistics after that."""

    source: Output  # through the head of the source
    target: Output  # through the head of the target
    target_as_source: Output  # through the head of the source
    stats: PyTree


def pass_both(
    before: SourceModel,
    after: SourceModel,
    far: Float[Array, "n h w c"],
    near: Float[Array, "m h w c"],
    *,
    batch_norm: BatchNorm,
    key: PRNGKeyArray,
) -> Passes:
    """Run source and target images through the network.

    Statistics that adapt are those of both sides in one batch. Normalised apart, both
    clouds would be centred and scaled alike whatever the images show, and distances
    between them would say little.

    Args:
        before: the network with the head of the source.
        after: the same with the head of the target.
        far: source images, normalised.
        near: target images, of the same size.
        batch_norm: "frozen": statistics stay, dropout is off.
        key: of dropout.
    """
    if batch_norm == "frozen":
        at_target = apply(after, near)
        as_source = _with_features(apply(before, near), at_target)
        return Passes(apply(before, far), at_target, as_source, after.stats)
    images = jnp.concatenate([far, near])
    new, stats = apply_train(after, images, key=key)
    old = _with_features(apply_train(before, images, key=key)[0], new)
    first, rest = slice(len(far)), slice(len(far), None)
    return Passes(_part(old, first), _part(new, rest), _part(old, rest), stats)


def _with_features(output: Output, other: Output) -> Output:
    """Take the features of another head's pass: equal, and differentiated once."""
    return dataclasses.replace(output, features=other.features)


def _part(output: Output, images: slice) -> Output:
    return jax.tree.map(lambda leaf: leaf[images], output)

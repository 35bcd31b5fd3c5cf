"""Source and target images through the network, under a policy of batch norm."""

from __future__ import annotations

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from trfjax.state import Output, SourceModel, apply, apply_train

Policy = Literal["joint", "sequential", "frozen"]


def pass_domains(
    model: SourceModel,
    source_images: Float[Array, "n h w c"],
    target_images: Float[Array, "m i j c"],
    *,
    policy: Policy,
    aux: bool = False,
    key: PRNGKeyArray,
) -> tuple[Output, Output, PyTree]:
    """Run the images of both domains through the network, in training.

    Args:
        model: the network.
        source_images: normalised.
        target_images: likewise; of the same size under "joint".
        policy: "joint": one batch of both. "sequential": the source in a batch of its
            own, then the target, statistics updated in that order (the published
            AdaptSegNet and ProDA codes). "frozen": by running statistics, which stay,
            and without dropout.
        aux: whether to return auxiliary logits.
        key: of dropout.

    Returns:
        The outputs of source and target, and the statistics after the passes.
    """
    if policy == "frozen":
        source = apply(model, source_images, aux=aux)
        return source, apply(model, target_images, aux=aux), model.stats
    if policy == "joint":
        check_sizes(source_images.shape[1:], target_images.shape[1:])
        images = jnp.concatenate([source_images, target_images])
        both, stats = apply_train(model, images, aux=aux, key=key)
        n = len(source_images)
        return (
            jax.tree.map(lambda leaf: leaf[:n], both),
            jax.tree.map(lambda leaf: leaf[n:], both),
            stats,
        )
    key_source, key_target = jax.random.split(key)
    source, stats = apply_train(model, source_images, aux=aux, key=key_source)
    moved = dataclasses.replace(model, stats=stats)
    target, stats = apply_train(moved, target_images, aux=aux, key=key_target)
    return source, target, stats


def check_sizes(source: tuple[int, ...], target: tuple[int, ...]) -> None:
    """Refuse two domains that cannot share a batch.

    Raises:
        ValueError: images of different shape.
    """
    if source != target:
        raise ValueError(
            f"source_data, target: images of shape {source} and {target}; with "
            "batch_norm='joint' they pass the network in one batch. Load both with the "
            "same size=, or use batch_norm='sequential'."
        )

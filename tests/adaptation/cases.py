"""Two tiny domains: the same squares, in other light."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from tests.training.cases import NAMES, RECIPE, network, squares
from trfjax.adaptation import get_method
from trfjax.adaptation.method import Pair, compose
from trfjax.adaptation.run import batches

SHAPE = (32, 32, 3)


def other_light(count=4, seed=1, shift=40, **options):
    """The target: darker red, brighter blue."""
    data = squares(count, seed=seed, name="dusk", **options)

    def change(image, label):
        moved = image.astype(int) + np.array([-shift, 0, shift])
        return np.clip(moved, 0, 255).astype(np.uint8), label

    return data.map(change, tag=f"dusk{shift}")


def composed(name, recipe=RECIPE, model=None, **options):
    """Return method, step and first state on the tiny network, and a batch."""
    method = get_method(name, **options)
    source = network() if model is None else model
    update, state = compose(method, source.model, source.card, SHAPE, recipe)
    (batch, *_) = batches(source, (squares(), other_light()), recipe, 3)
    return method, update, state, jax.tree.map(jnp.asarray, batch)


def as_float64(tree):
    """Return a tree with float64 where it had float32."""

    def change(leaf):
        leaf = jnp.asarray(leaf)
        return leaf.astype(jnp.float64) if leaf.dtype == jnp.float32 else leaf

    return jax.tree.map(change, tree)


def recoloured(batch: Pair, images) -> Pair:
    """Return the batch with other target images."""
    return Pair(batch.source, dataclasses.replace(batch.target, images=images))


__all__ = ["NAMES", "RECIPE", "SHAPE", "network", "squares"]

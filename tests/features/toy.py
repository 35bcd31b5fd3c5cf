"""Tiny data sets and networks by hand."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from trfjax.data import Dataset, LabelMap
from trfjax.models import abstract_model
from trfjax.state import ModelCard, SourceModel, TrainedModel

NAMES = ("road", "sky", "car")


def toy(count=5, size=(16, 24), *, seed=0, images=None, labels=None, name="toy"):
    rng = np.random.default_rng(seed)
    if images is None:
        images = rng.integers(0, 256, (count, *size, 3)).astype(np.uint8)
    if labels is None:
        labels = rng.integers(0, 3, (count, *size)).astype(np.int32)
        labels[rng.random(labels.shape) < 0.2] = 255
    ids = tuple(f"image{i}" for i in range(count))
    return Dataset(
        name, LabelMap(NAMES), ids, lambda i: (images[i], labels[i]), ids, name
    )


@functools.cache
def unet(variant="same"):
    """A U-Net of random weights, quicker than by its initialisers."""
    shapes = abstract_model("unet", num_classes=3, width=2, variant=variant)
    rng = np.random.default_rng(0)
    params = jax.tree.map(
        lambda leaf: jnp.asarray(0.3 * rng.normal(size=leaf.shape), leaf.dtype),
        shapes[0],
    )
    stats = jax.tree.map(lambda leaf: jnp.ones(leaf.shape, leaf.dtype), shapes[1])
    return SourceModel(params, stats, shapes[2])


def trained(seed=0):
    """A small U-Net; every seed has other weights."""
    params = jax.tree.map(lambda leaf: leaf * (1 + 0.1 * seed), unet().params)
    model = dataclasses.replace(unet(), params=params)
    return TrainedModel(model, ModelCard("net", "unet", {}, NAMES, (16, 24)))


def colours(images):
    """Logits that are the colours themselves: (b, h, w, 3)."""
    return np.asarray(images, np.float32) * 4

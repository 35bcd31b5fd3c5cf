"""A tiny network and tiny data, made so that compiling is all that costs."""

import dataclasses
import functools

import jax
import numpy as np
from flax import nnx

from trfjax.data import Dataset, LabelMap
from trfjax.models import create_model
from trfjax.models.blocks import Layers, Network
from trfjax.state import ModelCard, Output, TrainedModel, freeze
from trfjax.training.augment import NONE
from trfjax.training.recipe import Recipe

NAMES = ("left", "right", "top")
RECIPE = Recipe(steps=4, batch_size=2, learning_rate=1e-2, augment=NONE)


def squares(count=4, names=NAMES, seed=0, size=(32, 32), name="squares"):
    """Bright squares on a dark ground; the label is painted into the image."""

    def read(position):
        rng = np.random.default_rng([seed, position])
        label = np.kron(
            rng.integers(0, len(names), (4, 4)), np.ones((size[0] // 4, size[1] // 4))
        ).astype(np.int32)
        image = np.stack([label * 100, 200 - label * 100, 0 * label], axis=-1)
        label[0, :3] = 255
        return image.astype(np.uint8), label

    ids = tuple(f"{name}{seed}-{i}" for i in range(count))
    return Dataset(name, LabelMap(names), ids, read, ids, f"{name}{seed}/{count}")


class Tiny(Network):
    """Two convolutions with norms, and a head."""

    def __init__(self, num_classes, *, width, rngs):
        make = Layers(rngs)
        self.in_channels = 3
        self.conv1, self.norm1 = make.conv(3, width), make.norm(width)
        self.conv2, self.norm2 = make.conv(width, width), make.norm(width)
        self.head = make.conv(width, num_classes, 1)

    @property
    def taps(self):
        return {}

    @property
    def head_layers(self):
        return ("head",)

    def __call__(self, x, *, aux=False, taps=(), rngs=None):
        self.check(x, taps)
        x = nnx.relu(self.norm1(self.conv1(x)))
        x = nnx.relu(self.norm2(self.conv2(x)))
        logits = self.head(x)
        return Output(logits, logits, x)


@functools.cache
def network(seed=0, names=NAMES, width=2):
    config = {"num_classes": len(names), "width": width}
    model = freeze(Tiny(**config, rngs=nnx.Rngs(seed)))
    return TrainedModel(model, ModelCard("tiny", "tiny", config, names, (32, 32)))


@functools.cache
def unet():
    config = {"num_classes": len(NAMES), "width": 2}
    model = jax.jit(functools.partial(create_model, "unet", **config))()
    return TrainedModel(model, ModelCard("tiny", "unet", config, NAMES, (32, 32)))


def changed(recipe=RECIPE, **changes):
    return dataclasses.replace(recipe, **changes)


def leaves(tree):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]


def assert_same(one, other):
    one, other = leaves(one), leaves(other)
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)

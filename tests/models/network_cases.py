"""Every network and variant, small, and helpers to build them once."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from trfjax.models import abstract_model, create_model

# Case: name, configuration, a size of images (odd where that is legal).
CASES = {
    "unet": ("unet", {"width": 4}, (45, 61)),
    "unet-bilinear": ("unet", {"width": 4, "variant": "bilinear"}, (45, 61)),
    "unet-paper": ("unet", {"width": 4, "variant": "paper"}, (188, 204)),
    "unet-semseg": ("unet", {"width": 4, "variant": "semseg"}, (188, 204)),
    "fcn8s": ("fcn8s", {"width": 2, "init": "he"}, (21, 35)),
    "segnet": ("segnet", {"width": 4}, (45, 61)),
    "segnet-semseg": ("segnet", {"width": 4, "variant": "semseg"}, (45, 61)),
    "pspnet": ("pspnet", {"width": 4, "depth": 50}, (45, 61)),
    "pspnet-101": ("pspnet", {"width": 4, "pooling": "fixed"}, (45, 61)),
    "frrn_a": ("frrn_a", {"width": 6}, (32, 48)),
    "frrn_a-semseg": ("frrn_a", {"width": 6, "variant": "semseg"}, (32, 48)),
    "frrn_b": ("frrn_b", {"width": 6, "norm": "group"}, (32, 64)),
    "frrn_b-semseg": ("frrn_b", {"width": 6, "variant": "semseg"}, (32, 64)),
    "bisenet": ("bisenet", {"width": 4}, (45, 61)),
    "bisenet-101": ("bisenet", {"width": 4, "depth": 101}, (45, 61)),
    "bisenet_official": ("bisenet_official", {"width": 4}, (45, 61)),
    "bisenet_official-101": (
        *("bisenet_official", {"width": 4, "depth": 101}),
        (45, 61),
    ),
    "deeplab-single": ("deeplabv2", {"width": 4}, (45, 61)),
    "deeplab-multi": ("deeplabv2", {"width": 4, "variant": "multi"}, (45, 61)),
    "deeplab-proda": ("deeplabv2", {"width": 4, "variant": "proda"}, (45, 61)),
    "lenet": ("lenet", {}, (28, 28)),
    "lenet-caffe": ("lenet", {"variant": "caffe"}, (28, 28)),
    "resnet18": ("resnet18", {"width": 4}, (45, 61)),
    "resnet18-3x3": ("resnet18", {"width": 4, "stem": "3x3"}, (33, 33)),
    "resnet101": ("resnet101", {"width": 4}, (45, 61)),
    "conv4": ("conv4", {"width": 8}, (28, 28)),
}
CLASSES = 5


@functools.cache
def build(case, seed=0):
    name, config, _ = CASES[case]
    return create_model(name, num_classes=CLASSES, key=jax.random.key(seed), **config)


@functools.cache
def shape_of(case, num_classes=CLASSES):
    """Return parameters and statistics as shapes, and the structure."""
    name, config, _ = CASES[case]
    config = {"num_classes": num_classes, **config}
    return abstract_model(name, **config)


def channels(case):
    return 1 if CASES[case][0] in ("lenet", "conv4") else 3


def images(case, batch=2, size=None, seed=0):
    shape = (batch, *(size or CASES[case][2]), channels(case))
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)

"""Discriminators: networks that tell the source domain from the target.

One logit, the log-odds of "source", for every patch, pixel or image. Tsai et al.,
"Learning to Adapt Structured Output Space for Semantic Segmentation", CVPR 2018 (FCD);
Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 2016.
"""

from __future__ import annotations

import itertools
from typing import Any

import jax
from flax import nnx
from jaxtyping import Array, PRNGKeyArray

from trfjax.models.blocks import Layers, Network
from trfjax.models.init import bias_init, kernel_init
from trfjax.state import Output, SourceModel, Tap, freeze

WIDTHS = (64, 128, 256, 512)  # of all layers but the last, which has one channel


class Discriminator(Network):
    """Base of the discriminators: no taps, and no layer depends on classes."""

    @property
    def taps(self) -> dict[str, Tap]:
        """None."""
        return {}

    @property
    def head_layers(self) -> tuple[str, ...]:
        """None: a discriminator has no classes."""
        return ()


class Patches(Discriminator):
    """FCD: 4 x 4 convolutions of stride 2, a leaky ReLU between each two.

    FCD-Light (`light=True`) splits each into a depthwise and a pointwise convolution
    without biases, the only choice that gives the published number of parameters.

    Args:
        channels: of the input; the number of classes.
        light: whether convolutions are separable.
        num_layers: 5 as published; fewer for small images. Sides must be at least
            2 to this power.
        rngs: where the initial weights come from.
    """

    def __init__(
        self,
        channels: int,
        *,
        light: bool = False,
        num_layers: int = 5,
        rngs: nnx.Rngs,
    ) -> None:
        if not 1 <= num_layers <= len(WIDTHS) + 1:
            raise ValueError(
                f"num_layers: {num_layers} is not within 1..{len(WIDTHS) + 1}"
            )
        sizes = (channels, *WIDTHS[: num_layers - 1], 1)
        build = _separable if light else _dense
        self.layers = nnx.List(
            build(inputs, outputs, rngs)
            for inputs, outputs in itertools.pairwise(sizes)
        )
        self.in_channels = channels
        self.num_layers = num_layers

    def __call__(
        self,
        x: Array,
        *,
        aux: bool = False,
        taps: tuple[str, ...] = (),
        rngs: nnx.Rngs | None = None,
    ) -> Output:
        """Return one logit a patch; no activation after the last layer."""
        height, width = self.check(x, taps)
        least = 2**self.num_layers
        if min(height, width) < least:
            raise ValueError(
                f"images: {height} x {width} is too small for a patch discriminator of "
                f"{self.num_layers} layers, which needs {least} pixels a side. Use "
                "larger images or a smaller num_layers."
            )
        for number, layer in enumerate(self.layers):
            if number:
                x = nnx.leaky_relu(x, 0.2)
            x = layer(x)
        return Output(x, x, x)


class Pointwise(Discriminator):
    """Two hidden layers and a logit at every position of a map.

    Args:
        channels: of the features.
        hidden: channels of the hidden layers.
        pool: average over the map first, for one logit an image.
        rngs: where the initial weights come from.
    """

    def __init__(
        self, channels: int, *, hidden: int = 256, pool: bool = False, rngs: nnx.Rngs
    ) -> None:
        make = Layers(rngs, "torch")
        self.layers = nnx.List(
            make.conv(inputs, outputs, 1)
            for inputs, outputs in ((channels, hidden), (hidden, hidden), (hidden, 1))
        )
        self.in_channels = channels
        self.pool = pool

    def __call__(
        self,
        x: Array,
        *,
        aux: bool = False,
        taps: tuple[str, ...] = (),
        rngs: nnx.Rngs | None = None,
    ) -> Output:
        """Return a logit a position, or an image."""
        self.check(x, taps)
        if self.pool:
            x = x.mean(axis=(1, 2), keepdims=True)
        for number, layer in enumerate(self.layers):
            x = layer(nnx.relu(x) if number else x)
        return Output(x, x, x)


# A name, its class, and the options that the name settles.
DISCRIMINATORS: dict[str, tuple[Any, dict[str, Any]]] = {
    "fcd": (Patches, {}),
    "fcd_light": (Patches, {"light": True}),
    "pixels": (Pointwise, {}),
    "pooled": (Pointwise, {"pool": True, "hidden": 1024}),
}


def create_discriminator(
    name: str, channels: int, *, key: PRNGKeyArray | None = None, **options: Any
) -> SourceModel:
    """Build a discriminator with fresh weights.

    Args:
        name: "fcd" or "fcd_light" for patches of predictions, "pixels" or "pooled" for
            features.
        channels: of what it judges.
        key: where the initial weights come from; `jax.random.key(0)` by default.
        **options: of its class, such as `num_layers`.
    """
    if name not in DISCRIMINATORS:
        raise ValueError(
            f"unknown discriminator {name!r}; available: {', '.join(DISCRIMINATORS)}"
        )
    build, fixed = DISCRIMINATORS[name]
    key = jax.random.key(0) if key is None else key
    return freeze(build(channels, **(fixed | options), rngs=nnx.Rngs(key)))


def patch_multiply_adds(
    channels: int,
    size: tuple[int, int],
    *,
    light: bool = False,
    num_layers: int = 5,
) -> int:
    r"""Return the multiply-adds of FCD or FCD-Light on one image, in closed form.

    $$\sum_l \frac{HW}{4^l} \cdot \begin{cases} 16\, c_{l-1} c_l & \text{FCD} \\
    16\, c_{l-1} + c_{l-1} c_l & \text{FCD-Light} \end{cases}$$

    Args:
        channels: of the input.
        size: height and width of the image.
        light: whether convolutions are separable.
        num_layers: of stride 2.
    """
    sizes = (channels, *WIDTHS[: num_layers - 1], 1)
    total, (height, width) = 0, size
    for inputs, outputs in itertools.pairwise(sizes):
        height, width = height // 2, width // 2
        each = inputs * (16 + outputs) if light else 16 * inputs * outputs
        total += height * width * each
    return total


def _dense(inputs: int, outputs: int, rngs: nnx.Rngs) -> nnx.Conv:
    make = Layers(rngs, "torch")
    return make.conv(inputs, outputs, 4, stride=2, padding=1)


def _separable(inputs: int, outputs: int, rngs: nnx.Rngs) -> nnx.Sequential:
    depthwise = nnx.Conv(
        inputs,
        inputs,
        (4, 4),
        strides=2,
        padding=((1, 1), (1, 1)),
        feature_group_count=inputs,
        use_bias=False,
        kernel_init=kernel_init("torch"),
        bias_init=bias_init("torch", 16),
        rngs=rngs,
    )
    pointwise = Layers(rngs, "torch").conv(inputs, outputs, 1, bias=False)
    return nnx.Sequential(depthwise, pointwise)

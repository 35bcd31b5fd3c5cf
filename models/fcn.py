"""FCN8s: VGG-16 turned into a fully convolutional network with two skips.

Long et al., "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from flax import nnx
from jax import lax
from jaxtyping import Array

from trfjax.models.blocks import Layers, Network, channel_dropout
from trfjax.models.init import bilinear_kernel
from trfjax.models.naming import Naming, plus_one, vgg_index
from trfjax.models.resize import max_pool
from trfjax.state import Output, Tap

DEPTHS = (2, 2, 3, 3, 3)


def _place(match: Any) -> str:
    return f"conv_block{int(match[1]) + 1}.{2 * int(match[2])}"


def _from_linear(net: Any, stored: np.ndarray) -> np.ndarray:
    """Turn a linear layer on flattened maps into the convolution it stands for."""
    if stored.ndim == 4:
        return stored
    side = 7 if stored.shape[1] % 49 == 0 and stored.shape[1] != net.fc else 1
    return stored.reshape(stored.shape[0], -1, side, side)


NAMINGS = {
    "pytorch-semseg": Naming(
        (
            (r"^blocks\.(\d)\.(\d)", _place),
            (r"^fc6", "classifier.0"),
            (r"^fc7", "classifier.3"),
            (r"^score$", "classifier.6"),
            (r"^score_pool", "score_pool"),
            (r"^up2", "upscore2"),
            (r"^up4", "upscore4"),
            (r"^up8", "upscore8"),
        )
    ),
    "pytorch-fcn": Naming(
        (
            (r"^blocks\.(\d)\.(\d)", plus_one("conv{0}_{1}")),
            (r"^fc", "fc"),
            (r"^score$", "score_fr"),
            (r"^score_pool", "score_pool"),
            (r"^up2", "upscore2"),
            (r"^up4", "upscore_pool4"),
            (r"^up8", "upscore8"),
        )
    ),
    "torchvision-vgg16": Naming(
        (
            (r"^blocks\.(\d)\.(\d)", vgg_index),
            (r"^fc6", "classifier.0"),
            (r"^fc7", "classifier.3"),
        ),
        dead=(r"^classifier\.6\.",),
        fixes={"fc6/kernel": _from_linear, "fc7/kernel": _from_linear},
    ),
}


class Upsample(nnx.Module):
    """A transposed convolution over classes that starts as bilinear up-sampling."""

    def __init__(self, classes: int, size: int, stride: int, *, frozen: bool) -> None:
        self.kernel = nnx.Param(bilinear_kernel(size, classes))
        self.stride = stride
        self.frozen = frozen

    def __call__(self, x: Array) -> Array:
        """Return the larger map."""
        kernel = self.kernel[...].astype(x.dtype)
        if self.frozen:
            kernel = lax.stop_gradient(kernel)
        strides = (self.stride, self.stride)
        return lax.conv_transpose(x, kernel, strides, "VALID", transpose_kernel=True)


class FCN8s(Network):
    """FCN8s; takes any size, because of a border of 100 pixels.

    Args:
        num_classes: channels of the logits.
        width: base width, 64 as published.
        freeze_last_upsample: keep the last up-sampling bilinear, as in the paper.
        at_once: scale the skips by 0.01 and 0.0001 for training in one stage.
        channel_dropout: drop whole channels, as pytorch-semseg does, instead of
            single values.
        in_channels: channels of the images.
        init: initial kernels; `paper` is He-normal with score layers at zero.
        dtype: of the computation.
        rngs: where the initial weights come from.
    """

    namings: ClassVar = NAMINGS

    def __init__(
        self,
        num_classes: int,
        *,
        width: int | None = None,
        freeze_last_upsample: bool = False,
        at_once: bool = False,
        channel_dropout: bool = False,
        in_channels: int = 3,
        init: str = "paper",
        dtype: str | None = None,
        rngs: nnx.Rngs,
    ) -> None:
        make = Layers(rngs, "he" if init == "paper" else init, dtype)
        score = "zeros" if init == "paper" else init
        base = width or 64
        widths = (base, 2 * base, 4 * base, 8 * base, 8 * base)
        self.blocks = nnx.List([])
        inputs = in_channels
        for i, (depth, channels) in enumerate(zip(DEPTHS, widths, strict=True)):
            block = nnx.List([])
            for j in range(depth):
                border = 100 if i == j == 0 else 1
                block.append(make.conv(inputs, channels, padding=border))
                inputs = channels
            self.blocks.append(block)
        self.fc6 = make.conv(8 * base, 64 * base, 7, padding=0)
        self.fc7 = make.conv(64 * base, 64 * base, 1)
        self.dropout = _dropout(channel_dropout)
        self.score = make.conv(64 * base, num_classes, 1, init=score)
        self.score_pool4 = make.conv(8 * base, num_classes, 1, init=score)
        self.score_pool3 = make.conv(4 * base, num_classes, 1, init=score)
        self.up2 = Upsample(num_classes, 4, 2, frozen=False)
        self.up4 = Upsample(num_classes, 4, 2, frozen=False)
        self.up8 = Upsample(num_classes, 16, 8, frozen=freeze_last_upsample)
        self.scales = (0.01, 0.0001) if at_once else (1.0, 1.0)
        self.fc = 64 * base
        self.classes = num_classes
        self.in_channels = in_channels

    @property
    def taps(self) -> dict[str, Tap]:
        """Pooled maps, fc7, and the scores at three scales (`fused` is at 1/8)."""
        base, classes = self.fc // 64, self.classes
        return {
            "pool3": Tap(4 * base, 8),
            "pool4": Tap(8 * base, 16),
            "fc7": Tap(self.fc, 32),
            "score32": Tap(classes, 32),
            "score16": Tap(classes, 16),
            "fused": Tap(classes, 8),
        }

    @property
    def head_layers(self) -> tuple[str, ...]:
        """The scores at three scales and their up-sampling, all over classes."""
        return (
            *("score", "score_pool4", "score_pool3"),
            *("up2", "up4", "up8"),
        )

    @property
    def level_taps(self) -> tuple[str, ...]:
        """The stage outputs; its decoder holds scores only."""
        return ("pool3", "pool4", "fc7")

    def __call__(
        self,
        x: Array,
        *,
        aux: bool = False,
        taps: tuple[str, ...] = (),
        rngs: nnx.Rngs | None = None,
    ) -> Output:
        """Return logits at the input size; `features` is fc7."""
        size = self.check(x, taps)
        maps = {}
        for i, block in enumerate(self.blocks):
            for conv in block:
                x = nnx.relu(conv(x))
            x = maps[f"pool{i + 1}"] = max_pool(x, ceil=True)
        x = self.dropout(nnx.relu(self.fc6(x)), rngs=rngs)
        features = maps["fc7"] = nnx.relu(self.fc7(x))
        x = maps["score32"] = self.score(self.dropout(features, rngs=rngs))
        up = self.up2(x)
        x = maps["score16"] = up + _crop(
            self.score_pool4(self.scales[0] * maps["pool4"]), 5, up.shape[1:3]
        )
        up = self.up4(x)
        x = maps["fused"] = up + _crop(
            self.score_pool3(self.scales[1] * maps["pool3"]), 9, up.shape[1:3]
        )
        logits = _crop(self.up8(x), 31, size)
        levels = {name: maps[name] for name in taps}
        return Output(logits, logits, features, levels=levels)


def _dropout(channels: bool) -> nnx.Dropout:
    return channel_dropout(0.5) if channels else nnx.Dropout(0.5)


def _crop(x: Array, offset: int, size: tuple[int, ...]) -> Array:
    return x[:, offset : offset + size[0], offset : offset + size[1]]

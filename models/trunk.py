"""Residual networks without a classifier, the trunk of four architectures.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016.
"""

from __future__ import annotations

from flax import nnx
from jaxtyping import Array

from trfjax.models.blocks import ConvNorm, Layers, check_option, recomputed
from trfjax.models.naming import Naming
from trfjax.models.resize import max_pool

STEMS = ("7x7", "deep", "3x3")
DEPTHS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}


class BasicBlock(nnx.Module):
    """Two 3x3 convolutions and the identity."""

    expansion = 1

    def __init__(
        self,
        make: Layers,
        inputs: int,
        planes: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        project: bool = False,
        stride_first: bool = False,
        zero: bool = False,
    ) -> None:
        conv = make.conv
        self.conv1 = conv(inputs, planes, stride=stride, dilation=dilation, bias=False)
        self.bn1 = make.norm(planes)
        self.conv2 = conv(planes, planes, dilation=dilation, bias=False)
        self.bn2 = make.norm(planes, zero=zero)
        self.downsample = _projection(make, inputs, planes, stride) if project else None

    def __call__(self, x: Array) -> Array:
        """Return the sum after a ReLU."""
        y = nnx.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return nnx.relu(y + (self.downsample(x) if self.downsample else x))


class Bottleneck(nnx.Module):
    """1x1, 3x3, 1x1 convolutions and the identity.

    The stride is on the 3x3 convolution, or with `stride_first` on the first 1x1.
    """

    expansion = 4

    def __init__(
        self,
        make: Layers,
        inputs: int,
        planes: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        project: bool = False,
        stride_first: bool = False,
        zero: bool = False,
    ) -> None:
        first, second = (stride, 1) if stride_first else (1, stride)
        conv, outputs = make.conv, planes * self.expansion
        self.conv1 = conv(inputs, planes, 1, stride=first, bias=False)
        self.bn1 = make.norm(planes)
        self.conv2 = conv(planes, planes, stride=second, dilation=dilation, bias=False)
        self.bn2 = make.norm(planes)
        self.conv3 = conv(planes, outputs, 1, bias=False)
        self.bn3 = make.norm(outputs, zero=zero)
        self.downsample = (
            _projection(make, inputs, outputs, stride) if project else None
        )

    def __call__(self, x: Array) -> Array:
        """Return the sum after a ReLU."""
        y = nnx.relu(self.bn1(self.conv1(x)))
        y = nnx.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return nnx.relu(y + (self.downsample(x) if self.downsample else x))


def _projection(make: Layers, inputs: int, outputs: int, stride: int) -> ConvNorm:
    return ConvNorm(make, inputs, outputs, 1, stride=stride, relu=False)


class Trunk(nnx.Module):
    """A residual network without its classifier.

    Args:
        make: builds the layers.
        depth: 18, 50 or 101.
        width: channels of the first convolution, 64 as published.
        stem: `7x7` as published; `deep` is three 3x3 convolutions; `3x3` is one at
            stride 1 without pooling, for images of 32 to 84 pixels.
        strides: of the four stages.
        dilations: of the 3x3 convolutions of the four stages.
        stride_first: the stride is on the first 1x1 convolution.
        ceil: the pooling of the stem rounds up.
        zero: the last norm of every block starts at zero.
        remat: compute the inner maps of a block again for the gradient.
        in_channels: channels of the images.
    """

    def __init__(
        self,
        make: Layers,
        depth: int,
        *,
        width: int = 64,
        stem: str = "7x7",
        strides: tuple[int, ...] = (1, 2, 2, 2),
        dilations: tuple[int, ...] = (1, 1, 1, 1),
        stride_first: bool = False,
        ceil: bool = False,
        zero: bool = False,
        remat: bool = False,
        in_channels: int = 3,
    ) -> None:
        check_option("depth", depth, tuple(DEPTHS))
        block = BasicBlock if depth == 18 else Bottleneck
        self.stem = nnx.List(_stem(make, stem, in_channels, width))
        inputs = width * (2 if stem == "deep" else 1)
        stages = nnx.List([])
        channels, total, reached = [], 1 if stem == "3x3" else 4, []
        for stage in range(4):
            planes = width * 2**stage
            outputs = planes * block.expansion
            blocks = nnx.List([])
            for i in range(DEPTHS[depth][stage]):
                stride = strides[stage] if i == 0 else 1
                project = i == 0 and (inputs != outputs or stride != 1)
                blocks.append(
                    block(
                        make,
                        inputs,
                        planes,
                        stride=stride,
                        dilation=dilations[stage],
                        project=project,
                        stride_first=stride_first,
                        zero=zero,
                    )
                )
                inputs = outputs
            stages.append(blocks)
            total *= strides[stage]
            channels.append(outputs)
            reached.append(total)
        self.stages = stages
        self.channels = tuple(channels)
        self.strides = tuple(reached)
        self.pool = stem != "3x3"
        self.ceil = ceil
        self.remat = remat

    def __call__(self, x: Array) -> list[Array]:
        """Return the maps of the four stages."""
        for unit in self.stem:
            x = unit(x)
        if self.pool:
            x = max_pool(x, 3, 2, padding=1, ceil=self.ceil)
        maps = []
        for stage in self.stages:
            for block in stage:
                x = recomputed(block, x) if self.remat else block(x)
            maps.append(x)
        return maps


def _stem(make: Layers, stem: str, inputs: int, width: int) -> list[ConvNorm]:
    check_option("stem", stem, STEMS)
    if stem == "7x7":
        return [ConvNorm(make, inputs, width, 7, stride=2)]
    if stem == "3x3":
        return [ConvNorm(make, inputs, width, 3)]
    return [
        ConvNorm(make, inputs, width, 3, stride=2),
        ConvNorm(make, width, width, 3),
        ConvNorm(make, width, 2 * width, 3),
    ]


def torchvision_rules(prefix: str = "") -> tuple[tuple[str, str], ...]:
    """Return the rules for a `Trunk` in attribute `trunk`, as torchvision names it."""
    return (
        (r"^trunk\.stem\.0\.conv$", f"{prefix}conv1"),
        (r"^trunk\.stem\.0\.norm$", f"{prefix}bn1"),
        (r"^trunk\.stages\.0", f"{prefix}layer1"),
        (r"^trunk\.stages\.1", f"{prefix}layer2"),
        (r"^trunk\.stages\.2", f"{prefix}layer3"),
        (r"^trunk\.stages\.3", f"{prefix}layer4"),
        (r"\.downsample\.conv$", ".downsample.0"),
        (r"\.downsample\.norm$", ".downsample.1"),
    )


BACKBONE = Naming(torchvision_rules(), dead=(r"^fc\.",))

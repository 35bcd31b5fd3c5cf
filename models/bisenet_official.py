"""BiSeNet as the paper's authors published it.

Yu et al., "BiSeNet: Bilateral Segmentation Network for Real-time Semantic
Segmentation", ECCV 2018.
"""

from __future__ import annotations

from typing import ClassVar

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array

from trfjax.models.blocks import ConvNorm, Layers, Network, check_option
from trfjax.models.resize import global_mean, resize_bilinear, size_of
from trfjax.models.sizes import NativeSize
from trfjax.models.trunk import BACKBONE, Trunk
from trfjax.state import Output, Tap


class Refinement(nnx.Module):
    """Narrow to 128 channels, weigh them by their mean, refine after the sum."""

    def __init__(self, make: Layers, inputs: int, outputs: int) -> None:
        self.conv = ConvNorm(make, inputs, outputs)
        self.attention = ConvNorm(make, outputs, outputs, 1, relu=False)
        self.refine = ConvNorm(make, outputs, outputs)

    def __call__(self, x: Array, context: Array, size: tuple[int, int]) -> Array:
        """Return the refined map at the next finer size."""
        x = self.conv(x)
        x = x * nnx.sigmoid(self.attention(global_mean(x))) + context
        return self.refine(resize_bilinear(x, size, align_corners=True))


class Head(nnx.Module):
    """A 3x3 unit and the scores."""

    def __init__(self, make: Layers, inputs: int, middle: int, classes: int) -> None:
        self.unit = ConvNorm(make, inputs, middle)
        self.classifier = make.conv(middle, classes, 1)

    def __call__(self, x: Array) -> tuple[Array, Array]:
        """Return the map before the scores, and the scores."""
        x = self.unit(x)
        return x, self.classifier(x)


class BiSeNetOfficial(Network):
    """BiSeNet as the paper's authors published it: context maps are added.

    Args:
        num_classes: channels of the logits.
        depth: of the context path, 18, or 101 with a deep stem.
        width: base width, 64 as published.
        in_channels: channels of the images.
        init: initial kernels; `paper` is He-normal.
        dtype: of the computation.
        rngs: where the initial weights come from.
    """

    namings: ClassVar = {"torchvision-resnet": BACKBONE}

    def __init__(
        self,
        num_classes: int,
        *,
        depth: int = 18,
        width: int | None = None,
        in_channels: int = 3,
        init: str = "paper",
        dtype: str | None = None,
        rngs: nnx.Rngs,
    ) -> None:
        check_option("depth", depth, (18, 101))
        make = Layers(rngs, "he" if init == "paper" else init, dtype)
        base = width or 64
        self.spatial = nnx.List(
            [
                ConvNorm(make, in_channels, base, 7, stride=2),
                ConvNorm(make, base, base, stride=2),
                ConvNorm(make, base, base, stride=2),
                ConvNorm(make, base, 2 * base, 1),
            ]
        )
        stem = "deep" if depth == 101 else "7x7"
        self.trunk = Trunk(make, depth, width=base, stem=stem, in_channels=in_channels)
        third, fourth = self.trunk.channels[2:]
        self.context = ConvNorm(make, fourth, 2 * base, 1)
        self.refine16 = Refinement(make, fourth, 2 * base)
        self.refine8 = Refinement(make, third, 2 * base)
        self.fusion = ConvNorm(make, 4 * base, 4 * base, 1)
        self.attention1 = make.conv(4 * base, 4 * base, 1, bias=False)
        self.attention2 = make.conv(4 * base, 4 * base, 1, bias=False)
        self.head = Head(make, 4 * base, base, num_classes)
        self.head16 = Head(make, 2 * base, 4 * base, num_classes)
        self.head8 = Head(make, 2 * base, 4 * base, num_classes)
        self.width = base
        self.in_channels = in_channels

    @property
    def taps(self) -> dict[str, Tap]:
        """The refined context maps, the spatial path and the fused map."""
        return {
            "refined16": Tap(2 * self.width, 16),
            "refined8": Tap(2 * self.width, 8),
            "spatial": Tap(2 * self.width, 8),
            "fused": Tap(4 * self.width, 8),
        }

    @property
    def head_layers(self) -> tuple[str, ...]:
        """The scores of the three heads."""
        return ("head/classifier", "head16/classifier", "head8/classifier")

    @property
    def native_size(self) -> NativeSize:
        """Any size from 8; native logits at 1/8."""
        return NativeSize(least=8, stride=8)

    def __call__(
        self,
        x: Array,
        *,
        aux: bool = False,
        taps: tuple[str, ...] = (),
        rngs: nnx.Rngs | None = None,
    ) -> Output:
        """Return logits at the input size; `aux` adds those at 1/16 and 1/8."""
        size = self.check(x, taps)
        self.check_batch(len(x), self.context.norm, "the global context")
        _, second, third, fourth = self.trunk(x)
        for unit in self.spatial:
            x = unit(x)
        refined16 = self.refine16(
            fourth, self.context(global_mean(fourth)), size_of(third)
        )
        refined8 = self.refine8(third, refined16, size_of(second))
        fused = self.fusion(jnp.concatenate([x, refined8], axis=-1))
        weight = self.attention2(nnx.relu(self.attention1(global_mean(fused))))
        fused = fused + fused * nnx.sigmoid(weight)
        features, native = self.head(fused)
        pair = (self.head16(refined16)[1], self.head8(refined8)[1]) if aux else ()
        extra = tuple(resize_bilinear(y, size, align_corners=True) for y in pair)
        maps = {
            "refined16": refined16,
            "refined8": refined8,
            "spatial": x,
            "fused": fused,
        }
        logits = resize_bilinear(native, size, align_corners=True)
        return Output(logits, native, features, extra, {n: maps[n] for n in taps})

"""BiSeNet: a spatial path for detail and a residual network for context.

Yu et al., "BiSeNet: Bilateral Segmentation Network for Real-time Semantic
Segmentation", ECCV 2018. `BiSeNet` is the form of the student and adaptation
projects; `BiSeNetOfficial` that of the paper's authors.
"""

from __future__ import annotations

import itertools
from typing import ClassVar

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array

from trfjax.models.blocks import ConvNorm, Layers, Network, check_option
from trfjax.models.naming import Naming, plus_one
from trfjax.models.resize import resize_bilinear
from trfjax.models.resnet import BACKBONE, Trunk, torchvision_rules
from trfjax.state import Output, Tap

NAMINGS = {
    "ooooverflow": Naming(
        (
            *torchvision_rules("context_path."),
            (r"^spatial\.(\d)", plus_one("saptial_path.convblock{0}")),
            (r"^arm1$", "attention_refinement_module1.conv"),
            (r"^arm2$", "attention_refinement_module2.conv"),
            (r"^supervision([12])$", r"supervision\1"),
            (r"^fusion\.", "feature_fusion_module.convblock."),
            (r"^attention([12])$", r"feature_fusion_module.conv\1"),
            (r"^classifier$", "conv"),
            (r"convblock(\d?)\.conv$", r"convblock\1.conv1"),
            (r"convblock(\d?)\.norm$", r"convblock\1.bn"),
        ),
        dead=(
            r"^context_path\.features\.",
            r"^context_path\.fc\.",
            r"^attention_refinement_module[12]\.bn\.",
        ),
    ),
    "torchvision-resnet": BACKBONE,
}


def _mean(x: Array) -> Array:
    return x.mean(axis=(1, 2), keepdims=True)


def _size(x: Array) -> tuple[int, int]:
    return x.shape[1], x.shape[2]


class BiSeNet(Network):
    """BiSeNet of the `simple` variant.

    Args:
        num_classes: channels of the logits.
        depth: of the context path, 18 or 101.
        width: base width, 64 as published.
        in_channels: channels of the images.
        init: initial kernels; `paper` is He-normal.
        dtype: of the computation.
        rngs: where the initial weights come from.
    """

    namings: ClassVar = NAMINGS

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
        sides = [in_channels, base, 2 * base, 4 * base]
        self.spatial = nnx.List(
            ConvNorm(make, i, o, stride=2) for i, o in itertools.pairwise(sides)
        )
        self.trunk = Trunk(make, depth, width=base, in_channels=in_channels)
        third, fourth = self.trunk.channels[2:]
        self.arm1 = make.conv(third, third, 1)
        self.arm2 = make.conv(fourth, fourth, 1)
        self.supervision1 = make.conv(third, num_classes, 1)
        self.supervision2 = make.conv(fourth, num_classes, 1)
        merged = sides[-1] + third + fourth
        self.fusion = ConvNorm(make, merged, num_classes)
        self.attention1 = make.conv(num_classes, num_classes, 1)
        self.attention2 = make.conv(num_classes, num_classes, 1)
        self.classifier = make.conv(num_classes, num_classes, 1)
        self.channels = (third, fourth, sides[-1], merged)
        self.in_channels = in_channels

    @property
    def taps(self) -> dict[str, Tap]:
        """Refined context maps, the spatial path, and what is fused."""
        third, fourth, spatial, merged = self.channels
        return {
            "arm1": Tap(third, 16),
            "arm2": Tap(fourth, 32),
            "spatial": Tap(spatial, 8),
            "merged": Tap(merged, 8),
        }

    def __call__(
        self,
        x: Array,
        *,
        aux: bool = False,
        taps: tuple[str, ...] = (),
        rngs: nnx.Rngs | None = None,
    ) -> Output:
        """Return logits at the input size; `aux` adds those of both context maps."""
        size = self.check(x, taps)
        self.check_at_least(size, 8)
        *_, third, fourth = self.trunk(x)
        for unit in self.spatial:
            x = unit(x)
        arm1 = third * nnx.sigmoid(self.arm1(_mean(third)))
        arm2 = fourth * nnx.sigmoid(self.arm2(_mean(fourth))) * _mean(fourth)
        up1, up2 = (
            resize_bilinear(arm, _size(x), align_corners=False) for arm in (arm1, arm2)
        )
        merged = jnp.concatenate([x, up1, up2], axis=-1)
        features = self._fuse(merged)
        # A 1x1 convolution commutes with interpolation; before it, it is cheaper.
        native = self.classifier(features)
        extra = ()
        if aux:
            pair = (self.supervision1(up1), self.supervision2(up2))
            extra = tuple(resize_bilinear(y, size, align_corners=False) for y in pair)
        maps = {"arm1": arm1, "arm2": arm2, "spatial": x, "merged": merged}
        logits = resize_bilinear(native, size, align_corners=False)
        return Output(logits, native, features, extra, {n: maps[n] for n in taps})

    def _fuse(self, merged: Array) -> Array:
        x = self.fusion(merged)
        weight = nnx.relu(self.attention1(_mean(x)))
        return x + x * nnx.sigmoid(self.attention2(weight))


class Refinement(nnx.Module):
    """Narrow to 128 channels, weigh them by their mean, refine after the sum."""

    def __init__(self, make: Layers, inputs: int, outputs: int) -> None:
        self.conv = ConvNorm(make, inputs, outputs)
        self.attention = ConvNorm(make, outputs, outputs, 1, relu=False)
        self.refine = ConvNorm(make, outputs, outputs)

    def __call__(self, x: Array, context: Array, size: tuple[int, int]) -> Array:
        """Return the refined map at the next finer size."""
        x = self.conv(x)
        x = x * nnx.sigmoid(self.attention(_mean(x))) + context
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
        self.check_at_least(size, 8)
        self.check_batch(len(x), self.context.norm, "the global context")
        _, second, third, fourth = self.trunk(x)
        for unit in self.spatial:
            x = unit(x)
        refined16 = self.refine16(fourth, self.context(_mean(fourth)), _size(third))
        refined8 = self.refine8(third, refined16, _size(second))
        fused = self.fusion(jnp.concatenate([x, refined8], axis=-1))
        weight = self.attention2(nnx.relu(self.attention1(_mean(fused))))
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

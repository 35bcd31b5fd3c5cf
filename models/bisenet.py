"""BiSeNet: a spatial path for detail and a residual network for context.

Yu et al., "BiSeNet: Bilateral Segmentation Network for Real-time Semantic
Segmentation", ECCV 2018. `BiSeNet` is the form of the student and adaptation
projects; that of the paper's authors is in `bisenet_official`.
"""

from __future__ import annotations

import itertools
from typing import ClassVar

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array

from trfjax.models.blocks import ConvNorm, Layers, Network, check_option
from trfjax.models.naming import Naming, plus_one
from trfjax.models.resize import global_mean, resize_bilinear, size_of
from trfjax.models.sizes import NativeSize
from trfjax.models.trunk import BACKBONE, Trunk, torchvision_rules
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

    @property
    def head_layers(self) -> tuple[str, ...]:
        """Everything behind the fused map, and the scores of both context maps."""
        return (
            *("supervision1", "supervision2", "fusion/conv", "fusion/norm"),
            *("attention1", "attention2", "classifier"),
        )

    @property
    def native_size(self) -> NativeSize:
        """Any size from 8; native logits at 1/8."""
        return NativeSize(least=8, stride=8)

    @property
    def level_taps(self) -> tuple[str, ...]:
        """All but the fused map, which is these three again."""
        return ("arm1", "arm2", "spatial")

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
        *_, third, fourth = self.trunk(x)
        for unit in self.spatial:
            x = unit(x)
        arm1 = third * nnx.sigmoid(self.arm1(global_mean(third)))
        arm2 = (
            fourth * nnx.sigmoid(self.arm2(global_mean(fourth))) * global_mean(fourth)
        )
        up1, up2 = (
            resize_bilinear(arm, size_of(x), align_corners=False)
            for arm in (arm1, arm2)
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
        weight = nnx.relu(self.attention1(global_mean(x)))
        return x + x * nnx.sigmoid(self.attention2(weight))

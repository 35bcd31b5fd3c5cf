"""DeepLab-v2 on ResNet-101, in the forms of the adaptation literature.

Chen et al., "DeepLab: Semantic Image Segmentation with Deep Convolutional Nets,
Atrous Convolution, and Fully Connected CRFs", TPAMI 2017; heads of Tsai et al.,
"Learning to Adapt Structured Output Space for Semantic Segmentation", CVPR 2018, and
Zhang et al., "Prototypical Pseudo Label Denoising and Target Structure Learning for
Domain Adaptive Semantic Segmentation", CVPR 2021.
"""

from __future__ import annotations

from typing import ClassVar

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array

from trfjax.models.blocks import (
    ConvNorm,
    Layers,
    Network,
    channel_dropout,
    check_option,
)
from trfjax.models.naming import Naming
from trfjax.models.resize import resize_bilinear
from trfjax.models.sizes import NativeSize
from trfjax.models.trunk import BACKBONE, Trunk, torchvision_rules
from trfjax.state import Output, Tap

RATES = (6, 12, 18, 24)
HEADS = {  # the layers of each variant that depend on the classes
    "single": tuple(f"head/branches/{i}" for i in range(len(RATES))),
    "multi": tuple(
        f"{head}/branches/{i}"
        for head in ("head", "aux_head")
        for i in range(len(RATES))
    ),
    "proda": ("head/classifier",),
}

NAMINGS = {
    "adaptsegnet-single": Naming(
        (*torchvision_rules(), (r"^head\.branches\.", "layer5.conv2d_list."))
    ),
    "adaptsegnet-multi": Naming(
        (
            *torchvision_rules(),
            (r"^head\.branches\.", "layer6.conv2d_list."),
            (r"^aux_head\.branches\.", "layer5.conv2d_list."),
        ),
    ),
    "merged-head": Naming(
        (*torchvision_rules(), (r"^head\.branches\.", "aspp.c")), dead=(r"^fc\.",)
    ),
    "proda": Naming(
        (
            *torchvision_rules(),
            (r"^head\.branches\.(\d)\.conv", r"layer5.conv2d_list.\1.0"),
            (r"^head\.branches\.(\d)\.norm", r"layer5.conv2d_list.\1.1"),
            (r"^head\.squeeze", "layer5.bottleneck.0.se.0"),
            (r"^head\.excite", "layer5.bottleneck.0.se.2"),
            (r"^head\.narrow\.conv", "layer5.bottleneck.1"),
            (r"^head\.narrow\.norm", "layer5.bottleneck.2"),
            (r"^head\.classifier", "layer5.head.1"),
        )
    ),
    "torchvision-resnet": BACKBONE,
}


class AtrousSum(nnx.Module):
    """The sum of 3x3 convolutions of four dilations, straight to the classes.

    With `first_two` only the dilations 6 and 12 act although all four hold weights:
    a known mistake of published code, needed for its checkpoints.
    """

    def __init__(
        self, make: Layers, inputs: int, classes: int, *, first_two: bool
    ) -> None:
        self.branches = nnx.List(
            make.conv(inputs, classes, dilation=rate) for rate in RATES
        )
        self.active = 2 if first_two else len(RATES)

    def __call__(self, x: Array) -> Array:
        """Return the sum."""
        total = self.branches[0](x)
        for i in range(1, self.active):
            total = total + self.branches[i](x)
        return total


class AtrousConcat(nnx.Module):
    """Five branches, squeeze-and-excite, and a 256-channel map before the scores."""

    def __init__(self, make: Layers, inputs: int, classes: int, width: int) -> None:
        middle, groups = 4 * width, 32
        self.branches = nnx.List(
            ConvNorm(
                make, inputs, middle, size, dilation=rate, bias=True, groups=groups
            )
            for size, rate in ((1, 1), *((3, rate) for rate in RATES))
        )
        self.squeeze = make.linear(5 * middle, max(5 * middle // 16, 1))
        self.excite = make.linear(max(5 * middle // 16, 1), 5 * middle)
        self.narrow = ConvNorm(
            make, 5 * middle, middle, bias=True, relu=False, groups=groups
        )
        self.dropout = channel_dropout(0.1)
        self.classifier = make.conv(middle, classes, 1, bias=False)

    def __call__(self, x: Array, rngs: nnx.Rngs | None) -> tuple[Array, Array]:
        """Return the map before the scores, and the scores."""
        x = jnp.concatenate([branch(x) for branch in self.branches], axis=-1)
        weight = nnx.relu(self.squeeze(x.mean(axis=(1, 2))))
        x = x * nnx.sigmoid(self.excite(weight))[:, None, None]
        x = self.dropout(self.narrow(x), rngs=rngs)
        return x, self.classifier(x)


class DeepLab(Network):
    """DeepLab-v2.

    Args:
        num_classes: channels of the logits.
        width: base width, 64 as published.
        variant: `single` scores the last stage, `multi` the last two (the earlier one
            when `aux` is asked for), `proda` has the head of that project.
        aspp: `all` four dilations, or `first_two` for the published AdaptSegNet
            checkpoints.
        remat: keep less for the gradient and compute it again; the same numbers.
        in_channels: channels of the images.
        init: initial kernels; `paper` is normal with deviation 0.01.
        dtype: of the computation.
        rngs: where the initial weights come from.
    """

    namings: ClassVar = NAMINGS

    def __init__(
        self,
        num_classes: int,
        *,
        width: int | None = None,
        variant: str = "single",
        aspp: str = "all",
        remat: bool = False,
        in_channels: int = 3,
        init: str = "paper",
        dtype: str | None = None,
        rngs: nnx.Rngs,
    ) -> None:
        check_option("variant", variant, tuple(HEADS))
        check_option("aspp", aspp, ("all", "first_two"))
        make = Layers(rngs, "normal" if init == "paper" else init, dtype)
        base = width or 64
        self.trunk = Trunk(
            make,
            101,
            width=base,
            strides=(1, 2, 1, 1),
            dilations=(1, 1, 2, 4),
            stride_first=True,
            ceil=True,
            remat=remat,
            in_channels=in_channels,
        )
        third, fourth = self.trunk.channels[2:]
        first_two = aspp == "first_two"

        def head(inputs: int) -> AtrousSum:
            return AtrousSum(make, inputs, num_classes, first_two=first_two)

        proda = variant == "proda"
        self.head = (
            AtrousConcat(make, fourth, num_classes, base) if proda else head(fourth)
        )
        self.aux_head = head(third) if variant == "multi" else None
        self.variant = variant
        self.in_channels = in_channels

    @property
    def taps(self) -> dict[str, Tap]:
        """The last two stages, at stride 8."""
        third, fourth = self.trunk.channels[2:]
        return {"layer3": Tap(third, 8), "layer4": Tap(fourth, 8)}

    @property
    def head_layers(self) -> tuple[str, ...]:
        """The scores: one layer, or one a dilation, and those of the auxiliary head."""
        return HEADS[self.variant]

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
        """Return logits at the input size; `aux` adds those of the third stage."""
        size = self.check(x, taps)
        *_, third, fourth = self.trunk(x)
        if isinstance(self.head, AtrousConcat):
            features, native = self.head(fourth, rngs)
        else:
            features, native = fourth, self.head(fourth)
        extra = ()
        if aux and self.aux_head:
            y = self.aux_head(third)
            extra = (resize_bilinear(y, size, align_corners=True),)
        maps = {"layer3": third, "layer4": fourth}
        logits = resize_bilinear(native, size, align_corners=True)
        return Output(logits, native, features, extra, {n: maps[n] for n in taps})

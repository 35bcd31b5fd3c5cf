"""SegNet: a decoder that unpools with the indices of the encoder's max-pooling.

Badrinarayanan et al., "SegNet: A Deep Convolutional Encoder-Decoder Architecture for
Image Segmentation", TPAMI 2017.
"""

from __future__ import annotations

import itertools
import re
from typing import ClassVar

from flax import nnx
from jaxtyping import Array

from trfjax.models.blocks import ConvNorm, Layers, Network, check_option
from trfjax.models.naming import Naming, plus_one, vgg_index
from trfjax.models.resize import max_pool_indices, max_unpool
from trfjax.models.sizes import NativeSize
from trfjax.state import Output, Tap

DEPTHS = (2, 2, 3, 3, 3)


def _up(match: re.Match[str]) -> str:
    return f"up{5 - int(match[1])}.conv{int(match[2]) + 1}"


NAMINGS = {
    "pytorch-semseg": Naming(
        (
            (r"^down\.(\d)\.(\d)", plus_one("down{0}.conv{1}")),
            (r"^up\.(\d)\.(\d)", _up),
            (r"^head\.conv|^head$", "up1.conv2.cbr_unit.0"),
            (r"^head\.norm", "up1.conv2.cbr_unit.1"),
            (r"\.conv$", ".cbr_unit.0"),
            (r"\.norm$", ".cbr_unit.1"),
        )
    ),
    "torchvision-vgg16": Naming(
        ((r"^down\.(\d)\.(\d)\.conv$", vgg_index),), dead=(r"^classifier\.",)
    ),
}


class SegNet(Network):
    """SegNet on the 13 convolutions of VGG-16.

    Args:
        num_classes: channels of the logits.
        width: base width, 64 as published.
        variant: `official` ends in a bare convolution; in `semseg` batch norm and
            ReLU follow, so its logits are not negative and many are exactly 0.
        ceil: pool odd sides up, as Caffe does, instead of down.
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
        width: int | None = None,
        variant: str = "official",
        ceil: bool = False,
        in_channels: int = 3,
        init: str = "paper",
        dtype: str | None = None,
        rngs: nnx.Rngs,
    ) -> None:
        check_option("variant", variant, ("official", "semseg"))
        make = Layers(rngs, "he" if init == "paper" else init, dtype)
        base = width or 64
        widths = [base, 2 * base, 4 * base, 8 * base, 8 * base]

        def units(channels: list[int]) -> list[ConvNorm]:
            pairs = itertools.pairwise(channels)
            return [ConvNorm(make, i, o, bias=True) for i, o in pairs]

        self.down, self.up = nnx.List([]), nnx.List([])
        below = in_channels
        for depth, channels in zip(DEPTHS, widths, strict=True):
            self.down.append(nnx.List(units([below] + [channels] * depth)))
            below = channels
        for level in (4, 3, 2, 1):
            channels = [widths[level]] * DEPTHS[level] + [widths[level - 1]]
            self.up.append(nnx.List(units(channels)))
        self.up.append(nnx.List(units([base, base])))
        self.head = (
            ConvNorm(make, base, num_classes, bias=True)
            if variant == "semseg"
            else make.conv(base, num_classes)
        )
        self.ceil = ceil
        self.in_channels = in_channels
        self.widths = tuple(widths)

    @property
    def taps(self) -> dict[str, Tap]:
        """The pooled encoder maps, and the decoder stages."""
        down = {f"down{i + 1}": Tap(w, 2 ** (i + 1)) for i, w in enumerate(self.widths)}
        up = {
            f"up{i + 1}": Tap(self.widths[max(i - 1, 0)], 2**i)
            for i in reversed(range(5))
        }
        return down | up

    @property
    def head_layers(self) -> tuple[str, ...]:
        """The last convolution, and its norm where it has one."""
        normed = isinstance(self.head, ConvNorm)
        return ("head/conv", "head/norm") if normed else ("head",)

    @property
    def native_size(self) -> NativeSize:
        """Any size from 32."""
        return NativeSize(least=32)

    @property
    def level_taps(self) -> tuple[str, ...]:
        """The decoder stages."""
        return tuple(name for name in self.taps if name.startswith("up"))

    def __call__(
        self,
        x: Array,
        *,
        aux: bool = False,
        taps: tuple[str, ...] = (),
        rngs: nnx.Rngs | None = None,
    ) -> Output:
        """Return logits at the input size; `features` is the first unit of up1."""
        self.check(x, taps)
        maps, remembered = {}, []
        for i, stage in enumerate(self.down):
            for unit in stage:
                x = unit(x)
            size = (x.shape[1], x.shape[2])
            x, index = max_pool_indices(x, ceil=self.ceil)
            remembered.append((index, size))
            maps[f"down{i + 1}"] = x
        for i, stage in enumerate(self.up):
            x = max_unpool(x, *remembered.pop())
            for unit in stage:
                x = unit(x)
            maps[f"up{5 - i}"] = x
        logits = self.head(x)
        return Output(logits, logits, x, levels={name: maps[name] for name in taps})

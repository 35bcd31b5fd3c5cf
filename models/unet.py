"""U-Net, in the form of the paper and of the popular codes.

Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image
Segmentation", MICCAI 2015.
"""

from __future__ import annotations

import dataclasses
import re
from typing import ClassVar

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array

from trfjax.models.blocks import Layers, Network, check_option
from trfjax.models.naming import Naming
from trfjax.models.resize import centre_crop, max_pool, pad_to, resize_bilinear
from trfjax.models.sizes import NativeSize
from trfjax.state import Output, Tap


@dataclasses.dataclass(frozen=True)
class Variant:
    """The settings that tell one form of U-Net from another."""

    width: int = 64  # base width by default
    padding: int = 1  # of the 3x3 convolutions
    bias: bool = False  # of the 3x3 convolutions
    encoder_norm: bool = True  # the centre included
    decoder_norm: bool = True
    bilinear: bool = False  # up-sampling without weights, and half the widths there
    dropout: float = 0.0  # after the contracting path


VARIANTS = {
    "same": Variant(),
    "bilinear": Variant(bilinear=True),
    "paper": Variant(
        padding=0, bias=True, encoder_norm=False, decoder_norm=False, dropout=0.5
    ),
    "semseg": Variant(width=16, padding=0, bias=True, decoder_norm=False),
}


class DoubleConv(nnx.Module):
    """Two 3x3 convolutions, each with an optional batch norm and a ReLU."""

    def __init__(
        self,
        make: Layers,
        inputs: int,
        middle: int,
        outputs: int,
        *,
        padding: int,
        norm: bool,
        bias: bool,
    ) -> None:
        self.conv1 = make.conv(inputs, middle, padding=padding, bias=bias)
        self.norm1 = make.norm(middle) if norm else None
        self.conv2 = make.conv(middle, outputs, padding=padding, bias=bias)
        self.norm2 = make.norm(outputs) if norm else None

    def __call__(self, x: Array) -> Array:
        """Apply both."""
        x = self.conv1(x)
        x = nnx.relu(self.norm1(x) if self.norm1 else x)
        x = self.conv2(x)
        return nnx.relu(self.norm2(x) if self.norm2 else x)


def _milesial_up(match: re.Match[str]) -> str:
    return f"up{int(match[2]) + 1}." + ("up" if match[1] == "up" else "conv")


def _semseg_up(match: re.Match[str]) -> str:
    return f"up_concat{4 - int(match[2])}." + ("up" if match[1] == "up" else "conv")


def _semseg_down(match: re.Match[str]) -> str:
    return f"conv{int(match[1]) + 1}"


NAMINGS = {
    "pytorch-unet": Naming(
        (
            (r"^encoder\.0", "inc"),
            (r"^encoder\.(\d)", r"down\1.maxpool_conv.1"),
            (r"^centre", "down4.maxpool_conv.1"),
            (r"^(up|decoder)\.(\d)", _milesial_up),
            (r"^head", "outc.conv"),
            (r"\.conv1$", ".double_conv.0"),
            (r"\.norm1$", ".double_conv.1"),
            (r"\.conv2$", ".double_conv.3"),
            (r"\.norm2$", ".double_conv.4"),
        )
    ),
    "pytorch-semseg": Naming(
        (
            (r"^encoder\.(\d)", _semseg_down),
            (r"^centre", "center"),
            (r"^(up|decoder)\.(\d)", _semseg_up),
            (r"^head", "final"),
            (r"\.conv(\d)$", r".conv\1.0"),
            (r"\.norm(\d)$", r".conv\1.1"),
        )
    ),
}


class UNet(Network):
    """U-Net of four levels.

    Args:
        num_classes: channels of the logits.
        width: base width; 64 as published, 16 for `semseg` (its feature scale 4).
        variant: `same` pads, normalises everywhere and takes any size from 16;
            `bilinear` up-samples without weights; `paper` neither pads nor
            normalises; `semseg` normalises the encoder only. The last two lose 184
            pixels a side and take sides of 12 mod 16 from 188.
        in_channels: channels of the images.
        padding: of the 3x3 convolutions in `semseg`: 0, or 1 as before October 2017.
        resize_logits: for networks without padding, stretch the logits to the input
            size; this misaligns them, as the torch loss does. Crop the labels instead.
        dropout: after the contracting path; 0.5 for `paper`, else none.
        init: initial kernels; `paper` is He-normal.
        dtype: of the computation, such as `"bfloat16"`.
        rngs: where the initial weights come from.
    """

    namings: ClassVar = NAMINGS

    def __init__(
        self,
        num_classes: int,
        *,
        width: int | None = None,
        variant: str = "same",
        in_channels: int = 3,
        padding: int | None = None,
        resize_logits: bool = False,
        dropout: float | None = None,
        init: str = "paper",
        dtype: str | None = None,
        rngs: nnx.Rngs,
    ) -> None:
        check_option("variant", variant, tuple(VARIANTS))
        if padding is not None and variant != "semseg":
            raise ValueError("padding is an option of variant 'semseg' only")
        check_option("padding", padding, (None, 0, 1))
        form = VARIANTS[variant]
        base = width or form.width
        make = Layers(rngs, "he" if init == "paper" else init, dtype)
        pad = form.padding if padding is None else padding

        def double(inputs: int, middle: int, outputs: int, norm: bool) -> DoubleConv:
            return DoubleConv(
                make, inputs, middle, outputs, padding=pad, norm=norm, bias=form.bias
            )

        widths = [base * 2**i for i in range(4)]
        ins = [in_channels, *widths[:3]]
        self.encoder = nnx.List(
            double(i, o, o, form.encoder_norm) for i, o in zip(ins, widths, strict=True)
        )
        below = base * (8 if form.bilinear else 16)
        self.centre = double(widths[3], below, below, form.encoder_norm)
        self.up = nnx.List([])
        self.decoder = nnx.List([])
        channels = [below]
        for skip in reversed(widths):
            out = max(skip // 2, base) if form.bilinear else skip
            if not form.bilinear:
                self.up.append(make.transposed(below, skip, 2, 2))
            self.decoder.append(double(2 * skip, skip, out, form.decoder_norm))
            below = out
            channels.append(out)
        self.channels = tuple(channels)
        self.head = make.conv(base, num_classes, 1)
        self.dropout = nnx.Dropout(form.dropout if dropout is None else dropout)
        self.in_channels = in_channels
        self.valid = pad == 0
        self.resize_logits = resize_logits

    @property
    def taps(self) -> dict[str, Tap]:
        """The centre and the four decoder stages."""
        names = ("centre", *self.level_taps)
        maps = map(Tap, self.channels, (16, 8, 4, 2, 1))
        return dict(zip(names, maps, strict=True))

    @property
    def level_taps(self) -> tuple[str, ...]:
        """The decoder stages."""
        return ("dec4", "dec3", "dec2", "dec1")

    @property
    def head_layers(self) -> tuple[str, ...]:
        """The 1x1 convolution."""
        return ("head",)

    @property
    def native_size(self) -> NativeSize:
        """Any size from 16; without padding sides of 12 modulo 16, and 184 lost."""
        if self.valid:
            return NativeSize(least=188, multiple=16, remainder=12, lost=184)
        return NativeSize(least=16)

    def __call__(
        self,
        x: Array,
        *,
        aux: bool = False,
        taps: tuple[str, ...] = (),
        rngs: nnx.Rngs | None = None,
    ) -> Output:
        """Return logits, at the input size unless the variant does not pad."""
        size = self.check(x, taps)
        skips = []
        for block in self.encoder:
            x = block(x)
            skips.append(x)
            x = max_pool(x)
        maps = {"centre": self.centre(self.dropout(x, rngs=rngs))}
        x = maps["centre"]
        for i, (skip, block) in enumerate(
            zip(reversed(skips), self.decoder, strict=True)
        ):
            x = self._join(skip, self._upsample(i, x))
            x = maps[f"dec{4 - i}"] = block(x)
        native = self.head(x)
        logits = native
        if self.valid and self.resize_logits:
            logits = resize_bilinear(native, size, align_corners=True)
        return Output(logits, native, x, levels={name: maps[name] for name in taps})

    def _upsample(self, i: int, x: Array) -> Array:
        if self.up:
            return self.up[i](x)
        size = (2 * x.shape[1], 2 * x.shape[2])
        return resize_bilinear(x, size, align_corners=True)

    def _join(self, skip: Array, up: Array) -> Array:
        if self.valid:
            skip = centre_crop(skip, (up.shape[1], up.shape[2]))
        else:
            up = pad_to(up, (skip.shape[1], skip.shape[2]))
        return jnp.concatenate([skip, up], axis=-1)

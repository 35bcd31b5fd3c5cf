"""U-Net, in the form of the paper and of the popular codes.

Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image
Segmentation", MICCAI 2015.
"""

from __future__ import annotations

import re
from typing import ClassVar

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array

from trfjax.models.blocks import Layers, Network, check_option, size_error
from trfjax.models.naming import Naming
from trfjax.models.resize import centre_crop, max_pool, pad_to, resize_bilinear
from trfjax.state import Output, Tap

VARIANTS = ("same", "bilinear", "paper", "semseg")


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
    kind = ".up" if match[1] == "up" else ".conv"
    return f"up_concat{4 - int(match[2])}{kind}"


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
        check_option("variant", variant, VARIANTS)
        if padding is not None and variant != "semseg":
            raise ValueError("padding is an option of variant 'semseg' only")
        check_option("padding", padding, (None, 0, 1))
        base = width or (16 if variant == "semseg" else 64)
        make = Layers(rngs, "he" if init == "paper" else init, dtype)
        pad = padding if padding is not None else int(variant in ("same", "bilinear"))
        bias = variant in ("paper", "semseg")
        bilinear = variant == "bilinear"
        widths = [base * 2**i for i in range(4)]

        def double(inputs: int, middle: int, outputs: int, norm: bool) -> DoubleConv:
            return DoubleConv(
                make, inputs, middle, outputs, padding=pad, norm=norm, bias=bias
            )

        norm = variant != "paper"
        ins = [in_channels, *widths[:3]]
        self.encoder = nnx.List(
            double(i, o, o, norm) for i, o in zip(ins, widths, strict=True)
        )
        below = base * (8 if bilinear else 16)
        self.centre = double(widths[3], below, below, norm)
        self.up = nnx.List([])
        self.decoder = nnx.List([])
        norm = variant in ("same", "bilinear")
        channels = [below]
        for level in (4, 3, 2, 1):
            skip = widths[level - 1]
            out = max(skip // 2, base) if bilinear else skip
            if not bilinear:
                self.up.append(make.transposed(below, skip, 2, 2))
            self.decoder.append(double(2 * skip, skip, out, norm))
            below = out
            channels.append(out)
        self.channels = tuple(channels)
        self.head = make.conv(base, num_classes, 1)
        rate = dropout if dropout is not None else (0.5 if variant == "paper" else 0.0)
        self.dropout = nnx.Dropout(rate)
        self.in_channels = in_channels
        self.valid = pad == 0
        self.resize_logits = resize_logits

    @property
    def taps(self) -> dict[str, Tap]:
        """The centre and the four decoder stages."""
        names = ("centre", "dec4", "dec3", "dec2", "dec1")
        strides = (16, 8, 4, 2, 1)
        return {
            n: Tap(c, s) for n, c, s in zip(names, self.channels, strides, strict=True)
        }

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
        self._check_size(size)
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

    def _check_size(self, size: tuple[int, int]) -> None:
        if not self.valid:
            return self.check_at_least(size, 16)
        if any(side < 188 or side % 16 != 12 for side in size):
            near = tuple(max(round((s - 12) / 16) * 16 + 12, 188) for s in size)
            raise size_error(size, "12 modulo 16 and at least 188", near)

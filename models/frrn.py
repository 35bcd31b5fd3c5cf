"""FRRN: a pooled stream and a residual stream at full resolution.

Pohlen et al., "Full-Resolution Residual Networks for Semantic Segmentation in Street
Scenes", CVPR 2017.
"""

from __future__ import annotations

from typing import Any, ClassVar

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array

from trfjax.models.blocks import ConvNorm, Layers, Network, check_option, recomputed
from trfjax.models.naming import Naming
from trfjax.models.resize import max_pool, resize_bilinear
from trfjax.models.sizes import NativeSize
from trfjax.state import Output, Tap

# Units, channels in multiples of the base width, stride. The decoder follows.
ENCODER = {
    "a": ((3, 2, 2), (4, 4, 4), (2, 8, 8), (2, 8, 16)),
    "b": ((3, 2, 2), (4, 4, 4), (2, 8, 8), (2, 8, 16), (2, 8, 32)),
}
DECODER = {
    "a": ((2, 4, 8), (2, 4, 4), (2, 2, 2)),
    "b": ((2, 4, 16), (2, 4, 8), (2, 4, 4), (2, 2, 2)),
}


class ResidualUnit(nnx.Module):
    """Two 3x3 convolutions and the identity; no ReLU after the sum."""

    def __init__(
        self, make: Layers, inputs: int, channels: int, groups: int | None
    ) -> None:
        self.unit1 = ConvNorm(make, inputs, channels, groups=groups)
        self.unit2 = ConvNorm(make, channels, channels, relu=False, groups=groups)
        same = inputs == channels
        self.shortcut = None if same else make.conv(inputs, channels, 1, bias=False)

    def __call__(self, x: Array) -> Array:
        """Return the sum."""
        y = self.unit2(self.unit1(x))
        return y + (self.shortcut(x) if self.shortcut else x)


class FullResolutionUnit(nnx.Module):
    """Reads both streams, returns the pooled one anew and adds to the residual one."""

    def __init__(
        self,
        make: Layers,
        inputs: int,
        channels: int,
        residual: int,
        stride: int,
        groups: int | None,
    ) -> None:
        self.unit1 = ConvNorm(make, inputs + residual, channels, groups=groups)
        self.unit2 = ConvNorm(make, channels, channels, groups=groups)
        self.back = make.conv(channels, residual, 1)
        self.stride = stride

    def __call__(self, y: Array, z: Array) -> tuple[Array, Array]:
        """Return the two streams."""
        s = self.stride
        y = jnp.concatenate([y, max_pool(z, s, s)], axis=-1)
        y = self.unit2(self.unit1(y))
        step = jnp.repeat(jnp.repeat(self.back(y), s, axis=1), s, axis=2)
        return y, z + step


NAMINGS = {
    "pytorch-semseg": Naming(
        (
            (r"^stem\.conv$", "conv1.cbr_unit.0"),
            (r"^stem\.norm$", "conv1.cbr_unit.1"),
            (r"^first\.(\d)", r"up_residual_units.\1"),
            (r"^last\.(\d)", r"down_residual_units.\1"),
            (r"^split$", "split_conv"),
            (r"^merge$", "merge_conv"),
            (r"^classifier$", "classif_conv"),
            (r"^(encoding|decoding)_(\d+)_(\d+)_(\d+)_(\d+)", r"\1_frru_\2_\3_\4_\5"),
            (r"^(.*residual_units\.\d)\.unit2\.conv$", r"\1.conv2.cb_unit.0"),
            (r"^(.*residual_units\.\d)\.unit2\.norm$", r"\1.conv2.cb_unit.1"),
            (r"\.unit([12])\.conv$", r".conv\1.cbr_unit.0"),
            (r"\.unit([12])\.norm$", r".conv\1.cbr_unit.1"),
            (r"\.back$", ".conv_res"),
        )
    )
}


class FRRN(Network):
    """FRRN-A or FRRN-B.

    Args:
        num_classes: channels of the logits.
        model: `a` pools to 1/16, `b` to 1/32.
        width: base width, 48 as published; the residual stream has two thirds of it.
        variant: `official`, or `semseg` to reproduce pytorch-semseg: there every unit
            of a stage reads the stage's own input and only the last one's pooled
            stream leaves it (a departure from the paper), the last stage and
            the tail are narrower, and the split has no norm.
        align_corners: how the pooled stream is up-sampled; half-pixel centres for
            `official`, aligned corners for `semseg`.
        norm: `batch`, or `group` with 16 groups.
        remat: keep less for the gradient and compute it again; the same numbers.
        in_channels: channels of the images.
        init: initial kernels; `paper` is He-uniform.
        dtype: of the computation.
        rngs: where the initial weights come from.
    """

    namings: ClassVar = NAMINGS

    def __init__(
        self,
        num_classes: int,
        *,
        model: str = "a",
        width: int | None = None,
        variant: str = "official",
        align_corners: bool | None = None,
        norm: str = "batch",
        remat: bool = False,
        in_channels: int = 3,
        init: str = "paper",
        dtype: str | None = None,
        rngs: nnx.Rngs,
    ) -> None:
        check_option("model", model, ("a", "b"))
        check_option("variant", variant, ("official", "semseg"))
        check_option("norm", norm, ("batch", "group"))
        make = Layers(rngs, "he_uniform" if init == "paper" else init, dtype)
        semseg = variant == "semseg"
        base = width or 48
        residual = max(2 * base // 3, 1)
        groups = 16 if norm == "group" else None
        self.stem = ConvNorm(make, in_channels, base, 5, bias=semseg, groups=groups)
        self.first = nnx.List(ResidualUnit(make, base, base, groups) for _ in range(3))
        self.split = (
            make.conv(base, residual, 1, bias=False)
            if semseg
            else ConvNorm(make, base, residual, 1, relu=False, groups=groups)
        )
        decoder = DECODER[model]
        if semseg:
            decoder = (*decoder[:-1], (2, 1, 2))
        below = base
        plan = []
        stages = [("encoding", s) for s in ENCODER[model]]
        stages += [("decoding", s) for s in decoder]
        for kind, (units, multiple, stride) in stages:
            channels = base * multiple
            names = []
            for i in range(units):
                name = f"{kind}_{units}_{channels}_{stride}_{i}"
                inputs = below if semseg or i == 0 else channels
                unit = FullResolutionUnit(
                    make, inputs, channels, residual, stride, groups
                )
                setattr(self, name, unit)
                names.append(name)
            plan.append((kind, channels, stride, tuple(names)))
            below = channels
        self.merge = (
            make.conv(below + residual, base, 1, bias=False) if semseg else None
        )
        first = base if semseg else below + residual
        self.last = nnx.List(
            ResidualUnit(make, inputs, base, groups) for inputs in (first, base, base)
        )
        self.classifier = make.conv(base, num_classes, 1)
        self.plan = tuple(plan)
        self.residual = residual
        self.semseg = semseg
        self.align_corners = semseg if align_corners is None else align_corners
        self.remat = remat
        self.in_channels = in_channels

    @property
    def taps(self) -> dict[str, Tap]:
        """Both streams after each stage; `y` is pooled, `z` at full resolution."""
        taps = {}
        for kind, channels, stride, _ in self.plan:
            taps[f"{kind}{stride}_y"] = Tap(channels, stride)
            taps[f"{kind}{stride}_z"] = Tap(self.residual, 1)
        return taps

    @property
    def head_layers(self) -> tuple[str, ...]:
        """The classifier."""
        return ("classifier",)

    @property
    def native_size(self) -> NativeSize:
        """Multiples of the largest stride."""
        most = max(stride for _, _, stride, _ in self.plan)
        return NativeSize(least=most, multiple=most)

    @property
    def level_taps(self) -> tuple[str, ...]:
        """The pooled stream after each stage of the decoder."""
        strides = [stride for kind, _, stride, _ in self.plan if kind == "decoding"]
        return tuple(f"decoding{stride}_y" for stride in strides)

    def __call__(
        self,
        x: Array,
        *,
        aux: bool = False,
        taps: tuple[str, ...] = (),
        rngs: nnx.Rngs | None = None,
    ) -> Output:
        """Return logits at the input size; `features` is the last residual unit."""
        self.check(x, taps)
        y = self.stem(x)
        for unit in self.first:
            y = self._unit(unit, y)
        z = self.split(y)
        maps = {}
        for kind, _, stride, names in self.plan:
            y = max_pool(y) if kind == "encoding" else self._double(y)
            y, z = self._stage(names, y, z)
            maps[f"{kind}{stride}_y"], maps[f"{kind}{stride}_z"] = y, z
        y = jnp.concatenate([self._double(y), z], axis=-1)
        if self.merge:
            y = self.merge(y)
        for unit in self.last:
            y = self._unit(unit, y)
        logits = self.classifier(y)
        return Output(logits, logits, y, levels={name: maps[name] for name in taps})

    def _stage(self, names: tuple[str, ...], y: Array, z: Array) -> tuple[Array, Array]:
        entered = y
        for name in names:
            unit = getattr(self, name)
            y, z = self._unit(unit, entered if self.semseg else y, z)
        return y, z

    def _unit(self, unit: Any, *maps: Array) -> Any:
        return recomputed(unit, *maps) if self.remat else unit(*maps)

    def _double(self, y: Array) -> Array:
        size = (2 * y.shape[1], 2 * y.shape[2])
        return resize_bilinear(y, size, align_corners=self.align_corners)

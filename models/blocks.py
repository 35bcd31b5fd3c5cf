"""What every network shares: layer construction, the base class, small blocks."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp
from flax import nnx
from jax.nn import initializers
from jaxtyping import Array

from trfjax.models.init import bias_init, kernel_init
from trfjax.models.naming import Naming
from trfjax.models.sizes import NativeSize
from trfjax.state import Tap


@dataclasses.dataclass(frozen=True)
class Layers:
    """Builds layers with the conventions of the torch codes, NHWC.

    Padding is always explicit: "SAME" with stride 2 pads other pixels than torch.
    """

    rngs: nnx.Rngs
    init: str = "he"
    dtype: str | None = None  # of the computation; parameters are float32

    def conv(
        self,
        inputs: int,
        outputs: int,
        size: int = 3,
        *,
        stride: int = 1,
        padding: int | None = None,
        dilation: int = 1,
        bias: bool = True,
        init: str | None = None,
    ) -> nnx.Conv:
        """Return a convolution; the default padding keeps the size at stride 1."""
        pad = dilation * (size // 2) if padding is None else padding
        init = init or self.init
        return nnx.Conv(
            inputs,
            outputs,
            (size, size),
            strides=stride,
            padding=((pad, pad), (pad, pad)),
            kernel_dilation=dilation,
            use_bias=bias,
            dtype=_dtype(self.dtype),
            kernel_init=kernel_init(init),
            bias_init=bias_init(init, inputs * size * size),
            rngs=self.rngs,
        )

    def transposed(
        self, inputs: int, outputs: int, size: int, stride: int, *, bias: bool = True
    ) -> nnx.ConvTranspose:
        """Return torch's ConvTranspose2d without padding (kernel >= stride)."""
        return nnx.ConvTranspose(
            inputs,
            outputs,
            (size, size),
            strides=(stride, stride),
            padding="VALID",
            use_bias=bias,
            transpose_kernel=True,
            dtype=_dtype(self.dtype),
            kernel_init=kernel_init(self.init),
            bias_init=bias_init(self.init, outputs * size * size),
            rngs=self.rngs,
        )

    def norm(self, channels: int, *, zero: bool = False) -> nnx.BatchNorm:
        """Return a batch norm; torch's momentum 0.1 is 0.9 here."""
        return nnx.BatchNorm(
            channels,
            momentum=0.9,
            epsilon=1e-5,
            scale_init=initializers.zeros if zero else initializers.ones,
            dtype=_dtype(self.dtype),
            rngs=self.rngs,
        )

    def group_norm(self, channels: int, groups: int) -> nnx.GroupNorm:
        """Return a group norm with torch's epsilon; fewer groups at small widths."""
        return nnx.GroupNorm(
            channels,
            num_groups=math.gcd(groups, channels),
            epsilon=1e-5,
            dtype=_dtype(self.dtype),
            rngs=self.rngs,
        )

    def linear(
        self, inputs: int, outputs: int, *, init: str | None = None
    ) -> nnx.Linear:
        """Return a linear layer with bias."""
        init = init or self.init
        return nnx.Linear(
            inputs,
            outputs,
            dtype=_dtype(self.dtype),
            kernel_init=kernel_init(init),
            bias_init=bias_init(init, inputs),
            rngs=self.rngs,
        )


def _dtype(name: str | None) -> Any:
    return None if name is None else jnp.dtype(name)


class Network(nnx.Module):
    """Base of the networks: what each declares, and the checks of the input.

    A subclass sets `in_channels`, declares `taps` and `head_layers` (and `native_size`
    and `level_taps` where the defaults are not true), and returns a
    `trfjax.state.Output` whose parts depend on the arguments of the call only.
    """

    namings: ClassVar[Mapping[str, Naming]] = {}  # of checkpoints
    in_channels: int

    @property
    def taps(self) -> dict[str, Tap]:
        """The feature maps that can be asked for."""
        raise NotImplementedError

    @property
    def level_taps(self) -> tuple[str, ...]:
        """The taps that feature space `levels` reads.

        They are the decoder stages where there is a decoder, else the stage outputs;
        a tap that only repeats others is none of them.
        """
        return tuple(self.taps)

    @property
    def head_layers(self) -> tuple[str, ...]:
        """The paths of the layers whose shapes depend on the number of classes."""
        raise NotImplementedError

    @property
    def native_size(self) -> NativeSize:
        """The input sizes it takes and the size of its logits; by default any."""
        return NativeSize()

    def set_view(
        self,
        deterministic: bool | None = None,
        use_running_average: bool | None = None,
    ) -> None:
        """Accept both switches, so that networks without dropout or norms do too."""

    def check(self, x: Array, taps: tuple[str, ...]) -> tuple[int, int]:
        """Check what came in; return height and width."""
        if x.ndim != 4 or x.shape[-1] != self.in_channels:
            raise ValueError(
                f"images must have shape (n, height, width, {self.in_channels}), "
                f"got {x.shape}"
            )
        unknown = [name for name in taps if name not in self.taps]
        if unknown:
            known = ", ".join(self.taps)
            raise ValueError(f"unknown taps {unknown}; this network has: {known}")
        size = (x.shape[1], x.shape[2])
        self.native_size.check(size)
        return size

    def check_batch(self, batch: int, norm: Any, where: str) -> None:
        """Require two images where a norm sees one value per image in training."""
        if batch == 1 and not norm.use_running_average:
            raise ValueError(
                f"training needs at least 2 images: batch norm of {where} sees one "
                "value per image and channel"
            )


def check_option(name: str, value: Any, known: tuple[Any, ...]) -> None:
    """Require one of the known values of an option."""
    if value not in known:
        listed = ", ".join(repr(item) for item in known)
        raise ValueError(f"unknown {name} {value!r}; available: {listed}")


def channel_dropout(rate: float) -> nnx.Dropout:
    """Return a dropout of whole channels (torch's Dropout2d)."""
    return nnx.Dropout(rate, broadcast_dims=(1, 2))


def recomputed(unit: nnx.Module, *maps: Array) -> Any:
    """Apply a unit whose inner maps are computed again for the gradient, not kept."""
    return nnx.remat(lambda unit, *maps: unit(*maps))(unit, *maps)


class ConvNorm(nnx.Module):
    """A convolution and a batch norm, with a ReLU unless told otherwise."""

    def __init__(
        self,
        make: Layers,
        inputs: int,
        outputs: int,
        size: int = 3,
        *,
        stride: int = 1,
        padding: int | None = None,
        dilation: int = 1,
        bias: bool = False,
        relu: bool = True,
        groups: int | None = None,
    ) -> None:
        self.conv = make.conv(
            inputs,
            outputs,
            size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            bias=bias,
        )
        self.norm = make.group_norm(outputs, groups) if groups else make.norm(outputs)
        self.relu = relu

    def __call__(self, x: Array) -> Array:
        """Apply all."""
        x = self.norm(self.conv(x))
        return nnx.relu(x) if self.relu else x

"""The residual network for classification.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016.
"""

from __future__ import annotations

from typing import ClassVar

from flax import nnx
from jaxtyping import Array

from trfjax.models.blocks import Layers, Network
from trfjax.models.naming import Naming
from trfjax.models.sizes import NativeSize
from trfjax.models.trunk import BACKBONE, Trunk, torchvision_rules
from trfjax.state import Output, Tap


class ResNet(Network):
    """Residual network for classification.

    Args:
        num_classes: channels of the logits.
        depth: 18, 50 or 101.
        width: base width, 64 as published.
        stem: `7x7`, `deep`, or `3x3` for small images.
        zero_init_residual: the last norm of every block starts at zero.
        in_channels: channels of the images.
        init: initial kernels; `paper` is He-normal over the fan out.
        dtype: of the computation.
        rngs: where the initial weights come from.
    """

    namings: ClassVar = {
        "torchvision": Naming((*torchvision_rules(), (r"^fc$", "fc"))),
        "torchvision-resnet": BACKBONE,
    }

    def __init__(
        self,
        num_classes: int,
        *,
        depth: int = 18,
        width: int | None = None,
        stem: str = "7x7",
        zero_init_residual: bool = False,
        in_channels: int = 3,
        init: str = "paper",
        dtype: str | None = None,
        rngs: nnx.Rngs,
    ) -> None:
        make = Layers(rngs, "he_fan_out" if init == "paper" else init, dtype)
        self.trunk = Trunk(
            make,
            depth,
            width=width or 64,
            stem=stem,
            zero=zero_init_residual,
            in_channels=in_channels,
        )
        linear = "torch" if init == "paper" else init
        self.fc = make.linear(self.trunk.channels[-1], num_classes, init=linear)
        self.in_channels = in_channels

    @property
    def taps(self) -> dict[str, Tap]:
        """The four stages."""
        pairs = zip(self.trunk.channels, self.trunk.strides, strict=True)
        return {f"layer{i + 1}": Tap(c, s) for i, (c, s) in enumerate(pairs)}

    @property
    def head_layers(self) -> tuple[str, ...]:
        """The linear layer."""
        return ("fc",)

    @property
    def native_size(self) -> NativeSize:
        """Any size from 8; logits are no map."""
        return NativeSize(least=8, stride=None)

    def __call__(
        self,
        x: Array,
        *,
        aux: bool = False,
        taps: tuple[str, ...] = (),
        rngs: nnx.Rngs | None = None,
    ) -> Output:
        """Return logits per image; `features` is the mean of the last stage."""
        self.check(x, taps)
        stages = self.trunk(x)
        maps = {f"layer{i + 1}": stage for i, stage in enumerate(stages)}
        features = stages[-1].mean(axis=(1, 2))
        logits = self.fc(features)
        levels = {name: maps[name] for name in taps}
        return Output(logits, logits, features, levels=levels)

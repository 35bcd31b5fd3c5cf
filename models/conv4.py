"""Conv-4, the network of the few-shot literature.

Vinyals et al., "Matching Networks for One Shot Learning", NeurIPS 2016; Snell et al.,
"Prototypical Networks for Few-shot Learning", NeurIPS 2017.
"""

from __future__ import annotations

from typing import ClassVar

from flax import nnx
from jaxtyping import Array

from trfjax.models.blocks import ConvNorm, Layers, Network
from trfjax.models.lenet import channels_last
from trfjax.models.naming import Naming
from trfjax.models.resize import max_pool
from trfjax.models.sizes import NativeSize
from trfjax.state import Output, Tap


class Conv4(Network):
    """Four blocks of convolution, batch norm, ReLU and pooling, and a linear layer.

    Args:
        num_classes: channels of the logits ("ways").
        width: hidden channels, 64 as published.
        input_size: height and width of the images: 28 for Omniglot, 84 for
            miniImageNet.
        in_channels: channels of the images: 1 for Omniglot, 3 for miniImageNet.
        init: initial kernels; `paper` is He-normal.
        dtype: of the computation.
        rngs: where the initial weights come from.
    """

    namings: ClassVar = {
        "torch": Naming(
            (
                (r"^blocks\.(\d)\.conv", r"encoder.\1.0"),
                (r"^blocks\.(\d)\.norm", r"encoder.\1.1"),
                (r"^classifier", "classifier"),
            ),
            fixes={"classifier/kernel": channels_last},
        )
    }

    def __init__(
        self,
        num_classes: int,
        *,
        width: int | None = None,
        input_size: tuple[int, int] = (28, 28),
        in_channels: int = 1,
        init: str = "paper",
        dtype: str | None = None,
        rngs: nnx.Rngs,
    ) -> None:
        make = Layers(rngs, "he" if init == "paper" else init, dtype)
        hidden = width or 64
        inputs = (in_channels, hidden, hidden, hidden)
        self.blocks = nnx.List(ConvNorm(make, i, hidden, bias=True) for i in inputs)
        NativeSize(least=16).check((input_size[0], input_size[1]))
        height, width_ = (side // 16 for side in input_size)
        self.flat = (height, width_, hidden)
        self.classifier = make.linear(height * width_ * hidden, num_classes)
        self.input_size = (input_size[0], input_size[1])
        self.in_channels = in_channels

    @property
    def taps(self) -> dict[str, Tap]:
        """The four pooled maps."""
        return {f"block{i + 1}": Tap(self.flat[2], 2 ** (i + 1)) for i in range(4)}

    @property
    def head_layers(self) -> tuple[str, ...]:
        """The linear layer."""
        return ("classifier",)

    @property
    def native_size(self) -> NativeSize:
        """The size it was built for; logits are no map."""
        return NativeSize(only=self.input_size, stride=None)

    def __call__(
        self,
        x: Array,
        *,
        aux: bool = False,
        taps: tuple[str, ...] = (),
        rngs: nnx.Rngs | None = None,
    ) -> Output:
        """Return logits per image; `features` is the flattened last map."""
        self.check(x, taps)
        maps = {}
        for i, block in enumerate(self.blocks):
            x = maps[f"block{i + 1}"] = max_pool(block(x))
        features = x.reshape(len(x), -1)
        logits = self.classifier(features)
        levels = {name: maps[name] for name in taps}
        return Output(logits, logits, features, levels=levels)

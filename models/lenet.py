"""LeNet, for small grey images.

LeCun et al., "Gradient-Based Learning Applied to Document Recognition", Proceedings
of the IEEE 1998.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from flax import nnx
from jaxtyping import Array

from trfjax.models.blocks import Layers, Network, check_option
from trfjax.models.naming import Naming
from trfjax.models.resize import max_pool
from trfjax.models.sizes import NativeSize
from trfjax.state import Output, Tap


def channels_last(net: Any, stored: np.ndarray) -> np.ndarray:
    """Undo torch's C, H, W order in a linear layer that reads a flattened map."""
    height, width, channels = net.flat
    stored = stored.reshape(len(stored), channels, height, width)
    return stored.transpose(0, 2, 3, 1).reshape(len(stored), -1)


class LeNet(Network):
    """LeNet.

    Args:
        num_classes: channels of the logits.
        width: channels of the first convolution: 6 for `lenet5`, 20 for `caffe`;
            the other layers follow in proportion.
        variant: `lenet5`, or `caffe` with wider layers and no ReLU between them.
        input_size: height and width of the images.
        in_channels: channels of the images.
        init: initial kernels; `paper` is He-normal.
        dtype: of the computation.
        rngs: where the initial weights come from.
    """

    namings: ClassVar = {
        "torch": Naming(
            ((r"^(conv|fc)(\d)", r"\1\2"),), fixes={"fc1/kernel": channels_last}
        )
    }

    def __init__(
        self,
        num_classes: int,
        *,
        width: int | None = None,
        variant: str = "lenet5",
        input_size: tuple[int, int] = (28, 28),
        in_channels: int = 1,
        init: str = "paper",
        dtype: str | None = None,
        rngs: nnx.Rngs,
    ) -> None:
        check_option("variant", variant, ("lenet5", "caffe"))
        make = Layers(rngs, "he" if init == "paper" else init, dtype)
        five = variant == "lenet5"
        published = (6, 16, 120, 84) if five else (20, 50, 500)
        base = width or published[0]
        first, second, *hidden = (max(c * base // published[0], 1) for c in published)
        padding = 2 if five else 0
        self.conv1 = make.conv(in_channels, first, 5, padding=padding)
        self.conv2 = make.conv(first, second, 5, padding=0)
        sides = [((s - 4 + 2 * padding) // 2 - 4) // 2 for s in input_size]
        if min(sides) < 1:
            NativeSize(least=16).check((input_size[0], input_size[1]))
        self.flat = (sides[0], sides[1], second)
        self.fc1 = make.linear(sides[0] * sides[1] * second, hidden[0])
        self.fc2 = make.linear(hidden[0], hidden[1] if five else num_classes)
        self.fc3 = make.linear(hidden[1], num_classes) if five else None
        self.input_size = (input_size[0], input_size[1])
        self.channels = (first, second)
        self.in_channels = in_channels

    @property
    def taps(self) -> dict[str, Tap]:
        """The two pooled maps."""
        first, second = self.channels
        return {"pool1": Tap(first, 2), "pool2": Tap(second, 4)}

    @property
    def head_layers(self) -> tuple[str, ...]:
        """The last linear layer."""
        return ("fc3" if self.fc3 else "fc2",)

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
        """Return logits per image; `features` is the last hidden layer."""
        self.check(x, taps)
        act = nnx.relu if self.fc3 else (lambda maps: maps)
        first = max_pool(act(self.conv1(x)))
        second = max_pool(act(self.conv2(first)))
        x = nnx.relu(self.fc1(second.reshape(len(x), -1)))
        if self.fc3:
            x = nnx.relu(self.fc2(x))
        logits = self.fc3(x) if self.fc3 else self.fc2(x)
        maps = {"pool1": first, "pool2": second}
        return Output(logits, logits, x, levels={name: maps[name] for name in taps})

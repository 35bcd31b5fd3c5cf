"""PSPNet: a dilated residual network and a pyramid of pooled context.

Zhao et al., "Pyramid Scene Parsing Network", CVPR 2017.
"""

from __future__ import annotations

from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array

from trfjax.models.blocks import (
    ConvNorm,
    Layers,
    Network,
    channel_dropout,
    check_option,
)
from trfjax.models.naming import Naming, plus_one
from trfjax.models.resize import adaptive_pool, average_pool, resize_bilinear
from trfjax.models.sizes import NativeSize
from trfjax.models.trunk import BACKBONE, Trunk
from trfjax.state import Output, Tap

BINS = (1, 2, 3, 6)


def _reorder(net: Any, stored: np.ndarray) -> np.ndarray:
    """Bring the head's inputs from bins 6, 3, 2, 1 to bins 1, 2, 3, 6."""
    trunk = net.trunk.channels[-1]
    if stored.shape[1] <= trunk:
        return stored
    parts = np.split(stored[:, trunk:], len(BINS), axis=1)
    return np.concatenate([stored[:, :trunk], *reversed(parts)], axis=1)


def _semseg_bin(match: Any) -> str:
    place = len(BINS) - 1 - int(match[1])
    return f"pyramid_pooling.path_module_list.{place}.cbr_unit"


NAMINGS = {
    "hszhao": Naming(
        (
            (r"^trunk\.stem\.0\.", "layer0.0."),
            (r"^trunk\.stem\.1\.", "layer0.3."),
            (r"^trunk\.stem\.2\.", "layer0.6."),
            (r"^layer0\.(\d)\.conv", r"layer0.\1"),
            (r"^layer0\.0\.norm", "layer0.1"),
            (r"^layer0\.3\.norm", "layer0.4"),
            (r"^layer0\.6\.norm", "layer0.7"),
            (r"^trunk\.stages\.(\d)", plus_one("layer{0}")),
            (r"\.downsample\.conv$", ".downsample.0"),
            (r"\.downsample\.norm$", ".downsample.1"),
            (r"^pyramid\.(\d)\.conv", r"ppm.features.\1.1"),
            (r"^pyramid\.(\d)\.norm", r"ppm.features.\1.2"),
            (r"^head\.conv", "cls.0"),
            (r"^head\.norm", "cls.1"),
            (r"^classifier", "cls.4"),
            (r"^aux_head\.conv", "aux.0"),
            (r"^aux_head\.norm", "aux.1"),
            (r"^aux_classifier", "aux.4"),
        ),
        optional=(r"^aux\.",),
    ),
    "pytorch-semseg": Naming(
        (
            (r"^trunk\.stem\.(\d)", plus_one("convbnrelu1_{0}.cbr_unit")),
            (r"^trunk\.stages\.0", "res_block2.layers"),
            (r"^trunk\.stages\.1", "res_block3.layers"),
            (r"^trunk\.stages\.2", "res_block4.layers"),
            (r"^trunk\.stages\.3", "res_block5.layers"),
            (r"\.conv([12])$", r".cbr\1.cbr_unit.0"),
            (r"\.bn([12])$", r".cbr\1.cbr_unit.1"),
            (r"\.conv3$", ".cb3.cb_unit.0"),
            (r"\.bn3$", ".cb3.cb_unit.1"),
            (r"\.downsample", ".cb4.cb_unit"),
            (r"^pyramid\.(\d)", _semseg_bin),
            (r"^head", "cbr_final.cbr_unit"),
            (r"^classifier", "classification"),
            (r"^aux_head", "convbnrelu4_aux.cbr_unit"),
            (r"^aux_classifier", "aux_cls"),
            (r"\.conv$", ".0"),
            (r"\.norm$", ".1"),
        ),
        fixes={"head/conv/kernel": _reorder},
    ),
    "torchvision-resnet": BACKBONE,
}


class PSPNet(Network):
    """PSPNet at stride 8.

    Args:
        num_classes: channels of the logits.
        depth: of the residual network, 101 or 50.
        width: base width, 64 as published.
        pooling: `adaptive` takes any size; `fixed` pools with kernel and stride
            `side // bin`, as Caffe and pytorch-semseg do: trailing rows are dropped
            or more cells appear, and sides below the bin fail.
        stem: `deep` as published; `7x7` for torchvision's weights.
        remat: keep less for the gradient and compute it again; the same numbers.
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
        depth: int = 101,
        width: int | None = None,
        pooling: str = "adaptive",
        stem: str = "deep",
        remat: bool = False,
        in_channels: int = 3,
        init: str = "paper",
        dtype: str | None = None,
        rngs: nnx.Rngs,
    ) -> None:
        check_option("depth", depth, (50, 101))
        check_option("pooling", pooling, ("adaptive", "fixed"))
        check_option("stem", stem, ("deep", "7x7"))
        make = Layers(rngs, "he" if init == "paper" else init, dtype)
        base = width or 64
        self.trunk = Trunk(
            make,
            depth,
            width=base,
            stem=stem,
            strides=(1, 2, 1, 1),
            dilations=(1, 1, 2, 4),
            remat=remat,
            in_channels=in_channels,
        )
        last = 32 * base
        self.pyramid = nnx.List(ConvNorm(make, last, last // 4, 1) for _ in BINS)
        self.head = ConvNorm(make, 2 * last, 8 * base)
        self.dropout = channel_dropout(0.1)
        self.classifier = make.conv(8 * base, num_classes, 1)
        self.aux_head = ConvNorm(make, 16 * base, 4 * base)
        self.aux_dropout = channel_dropout(0.1)
        self.aux_classifier = make.conv(4 * base, num_classes, 1)
        self.pooling = pooling
        self.in_channels = in_channels

    @property
    def taps(self) -> dict[str, Tap]:
        """The last three stages and the concatenated pyramid, all at stride 8."""
        channels = self.trunk.channels
        return {
            "res3": Tap(channels[1], 8),
            "res4": Tap(channels[2], 8),
            "res5": Tap(channels[3], 8),
            "pyramid": Tap(2 * channels[3], 8),
        }

    @property
    def head_layers(self) -> tuple[str, ...]:
        """The classifier, and that of the fourth stage."""
        return ("classifier", "aux_classifier")

    @property
    def native_size(self) -> NativeSize:
        """Any size from 8, or from 41 with fixed pooling; native logits at 1/8."""
        return NativeSize(least=41 if self.pooling == "fixed" else 8, stride=8)

    @property
    def level_taps(self) -> tuple[str, ...]:
        """The stages; the pyramid holds the last one."""
        return ("res3", "res4", "pyramid")

    def __call__(
        self,
        x: Array,
        *,
        aux: bool = False,
        taps: tuple[str, ...] = (),
        rngs: nnx.Rngs | None = None,
    ) -> Output:
        """Return logits at the input size; `aux` adds those of the fourth stage."""
        size = self.check(x, taps)
        self.check_batch(len(x), self.pyramid[0].norm, "the 1 x 1 bin")
        stages = self.trunk(x)
        maps = {f"res{i + 2}": stage for i, stage in enumerate(stages)}
        maps["pyramid"] = self._context(stages[-1])
        features = self.head(maps["pyramid"])
        native = self.classifier(self.dropout(features, rngs=rngs))
        extra = ()
        if aux:
            y = self.aux_dropout(self.aux_head(maps["res4"]), rngs=rngs)
            y = self.aux_classifier(y)
            extra = (resize_bilinear(y, size, align_corners=True),)
        logits = resize_bilinear(native, size, align_corners=True)
        return Output(logits, native, features, extra, {n: maps[n] for n in taps})

    def _context(self, x: Array) -> Array:
        size = (x.shape[1], x.shape[2])
        parts = [x]
        for bins, unit in zip(BINS, self.pyramid, strict=True):
            if self.pooling == "adaptive":
                pooled = adaptive_pool(x, bins)
            else:
                pooled = average_pool(x, (size[0] // bins, size[1] // bins))
            parts.append(resize_bilinear(unit(pooled), size, align_corners=True))
        return jnp.concatenate(parts, axis=-1)

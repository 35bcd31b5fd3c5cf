"""Convolutions whose derivatives stay fast inside the loops of a compiled program.

On a CPU, XLA brings convolutions into the form its fast kernels take, but only outside
of loops. The derivatives of a convolution are not in that form, so a training step
under `lax.scan` runs 2 to 30 times slower than the same step by itself. Here the
derivatives are written in that form from the start.
"""

from __future__ import annotations

import functools
from typing import Any, cast

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

from trfjax.state import SourceModel, freeze, thaw

NHWC = ("NHWC", "HWIO", "NHWC")
FEW = 256  # kernel entries per output channel below which a plain product is faster
Pads = tuple[tuple[int, int], tuple[int, int]]


def with_loop_convolutions(model: SourceModel) -> SourceModel:
    """Return the same network with convolutions by `convolve`; weights are shared."""
    net = thaw(model, train=True)  # the switches as a fresh network has them
    for _, part in nnx.iter_graph(net):
        if isinstance(part, nnx.Conv):
            part.conv_general_dilated = convolve
    return SourceModel(model.params, model.stats, freeze(net).graphdef)


def convolve(
    images: Array,
    kernel: Array,
    strides: Any,
    padding: Any,
    *,
    lhs_dilation: Any = None,
    rhs_dilation: Any = None,
    **options: Any,
) -> Array:
    """Do what `lax.conv_general_dilated` does; stride 1 without groups is faster."""
    plain = (
        images.ndim == 4
        and not isinstance(padding, str)
        and {*strides, *(lhs_dilation or ()), *(rhs_dilation or ())} == {1}
        and options.get("feature_group_count", 1) == 1
        and options.get("precision") is None
    )
    if not plain:
        return lax.conv_general_dilated(
            images,
            kernel,
            strides,
            padding,
            lhs_dilation=lhs_dilation,
            rhs_dilation=rhs_dilation,
            **options,
        )
    pads: Any = tuple((int(low), int(high)) for low, high in padding)
    if kernel[..., 0].size <= FEW:
        return _by_patches(images, kernel, pads)
    return cast(Array, _by_kernels(images, kernel, pads))


def _by_patches(
    images: Float[Array, "n h w c"], kernel: Float[Array, "p q c k"], pads: Pads
) -> Float[Array, "n y x k"]:
    """Multiply the matrix of all windows with the kernel."""
    images = jnp.pad(images, ((0, 0), *pads, (0, 0)))
    rows, columns, _, outputs = kernel.shape
    n, height, width, _ = images.shape
    height, width = height - rows + 1, width - columns + 1
    windows = jnp.concatenate(
        [
            images[:, i : i + height, j : j + width]
            for i in range(rows)
            for j in range(columns)
        ],
        axis=-1,
    )
    windows = windows.reshape(n * height * width, -1)
    return (windows @ kernel.reshape(-1, outputs)).reshape(n, height, width, outputs)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _by_kernels(images: Array, kernel: Array, pads: Pads) -> Array:
    return lax.conv_general_dilated(
        images, kernel, (1, 1), pads, dimension_numbers=NHWC
    )


def _forward(images: Array, kernel: Array, pads: Pads):
    return _by_kernels(images, kernel, pads), (images, kernel)


def _backward(pads: Pads, kept: tuple[Array, Array], slope: Array):
    images, kernel = kept
    around: Any = tuple(
        (size - 1 - low, size - 1 - high)
        for size, (low, high) in zip(kernel.shape[:2], pads, strict=True)
    )
    turned = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
    d_images = _by_kernels(slope, turned, around)
    # Channels take the place of images, and images that of channels.
    turned_images = images.transpose(3, 1, 2, 0)
    d_kernel: Any = _by_kernels(turned_images, slope.transpose(1, 2, 0, 3), pads)
    return d_images, d_kernel.transpose(1, 2, 0, 3)


_by_kernels.defvjp(_forward, _backward)

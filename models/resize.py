"""Resizing, cropping and pooling with the conventions of the published networks."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array


def _interpolation(length: int, target: int, align_corners: bool) -> np.ndarray:
    """Return the `(target, length)` matrix of linear interpolation along one axis."""
    out = np.arange(target)
    if align_corners:
        source = out * ((length - 1) / max(target - 1, 1))
    else:
        source = np.maximum((out + 0.5) * (length / target) - 0.5, 0)
    low = np.minimum(np.floor(source).astype(int), length - 1)
    high = np.minimum(low + 1, length - 1)
    weight = source - low
    matrix = np.zeros((target, length))
    np.add.at(matrix, (out, low), 1 - weight)
    np.add.at(matrix, (out, high), weight)
    return matrix


def _averaging(length: int, bins: int) -> np.ndarray:
    """Return the `(bins, length)` matrix of adaptive averages along one axis."""
    matrix = np.zeros((bins, length))
    for i in range(bins):
        start, stop = i * length // bins, -(-(i + 1) * length // bins)
        matrix[i, start:stop] = 1 / (stop - start)
    return matrix


RESIZING = "resizing"  # the scope that counts of multiply-adds leave out


def _apply(x: Array, rows: np.ndarray, columns: np.ndarray) -> Array:
    product = functools.partial(jnp.einsum, precision=lax.Precision.HIGHEST)
    with jax.named_scope(RESIZING):
        x = product("ih,nhwc->niwc", jnp.asarray(rows, x.dtype), x)
        return product("jw,niwc->nijc", jnp.asarray(columns, x.dtype), x)


def resize_bilinear(x: Array, size: tuple[int, int], *, align_corners: bool) -> Array:
    """Resize `(n, h, w, c)` maps bilinearly, without smoothing when shrinking.

    Args:
        x: maps.
        size: height and width of the result.
        align_corners: whether the corner samples of both grids coincide
            (`o (L-1)/(M-1)`), or cell edges do (`(o + 1/2) L/M - 1/2`, at least 0).
    """
    height, width = x.shape[1:3]
    if (height, width) == tuple(size):
        return x
    rows = _interpolation(height, size[0], align_corners)
    columns = _interpolation(width, size[1], align_corners)
    return _apply(x, rows, columns)


def size_of(x: Array) -> tuple[int, int]:
    """Return height and width of `(n, h, w, c)` maps."""
    return x.shape[1], x.shape[2]


def global_mean(x: Array) -> Array:
    """Average `(n, h, w, c)` maps over all pixels, to `(n, 1, 1, c)`."""
    return x.mean(axis=(1, 2), keepdims=True)


def resize_nearest(x: Array, size: tuple[int, int]) -> Array:
    """Resize to `floor(o L / M)`; a repetition where the factor is whole."""
    rows = np.arange(size[0]) * x.shape[1] // size[0]
    columns = np.arange(size[1]) * x.shape[2] // size[1]
    return x[:, rows][:, :, columns]


def adaptive_pool(x: Array, bins: int) -> Array:
    """Average `(n, h, w, c)` maps over `bins` x `bins` cells.

    Cell `i` of `b` covers `[floor(iL/b), ceil((i+1)L/b))`: neighbouring cells may
    share a pixel, and any size is legal.
    """
    rows, columns = (_averaging(length, bins) for length in x.shape[1:3])
    return _apply(x, rows, columns)


def average_pool(x: Array, window: tuple[int, int]) -> Array:
    """Average over windows that do not overlap; trailing rows are dropped."""
    shape = (1, *window, 1)
    zero = np.zeros((), x.dtype)
    total = lax.reduce_window(x, zero, lax.add, shape, shape, "VALID")
    return total / (window[0] * window[1])


def max_pool(
    x: Array, size: int = 2, stride: int = 2, *, padding: int = 0, ceil: bool = False
) -> Array:
    """Max-pool with explicit padding, rounding the output length down or up."""
    pads = [(padding, padding + _extra(n, size, stride, padding)) for n in x.shape[1:3]]
    if not ceil:
        pads = [(padding, padding)] * 2
    lowest = np.array(-np.inf, x.dtype)  # concrete, or the pooling has no gradient
    return lax.reduce_window(
        x,
        lowest,
        lax.max,
        (1, size, size, 1),
        (1, stride, stride, 1),
        ((0, 0), *pads, (0, 0)),
    )


def _extra(length: int, size: int, stride: int, padding: int) -> int:
    """Return the end padding that makes room for the windows of ceil rounding."""
    out = -(-(length + 2 * padding - size) // stride) + 1
    if (out - 1) * stride >= length + padding:  # would start in the padding
        out -= 1
    return max((out - 1) * stride + size - length - 2 * padding, 0)


def centre_crop(x: Array, size: tuple[int, int]) -> Array:
    """Cut the central window out of `(n, h, w, ...)` maps or labels."""
    top, left = (
        (have - want) // 2 for have, want in zip(x.shape[1:3], size, strict=True)
    )
    return x[:, top : top + size[0], left : left + size[1]]


def pad_to(x: Array, size: tuple[int, int]) -> Array:
    """Zero-pad to a size, the odd pixel at the bottom and the right."""
    pads = [(d // 2, d - d // 2) for d in (size[0] - x.shape[1], size[1] - x.shape[2])]
    return jnp.pad(x, ((0, 0), *pads, (0, 0)))


def max_pool_indices(x: Array, *, ceil: bool = False) -> tuple[Array, Array]:
    """Max-pool 2/2; return values and their places in the windows.

    Windows do not overlap, so the place is a number from 0 to 3, row by row. The
    value is gathered, not a maximum, so that in ties the gradient goes to the first
    place only, as in torch.
    """
    n, height, width, c = x.shape
    if ceil:
        pads = ((0, 0), (0, height % 2), (0, width % 2), (0, 0))
        x = jnp.pad(x, pads, constant_values=-jnp.inf)
    rows, columns = x.shape[1] // 2, x.shape[2] // 2
    windows = x[:, : 2 * rows, : 2 * columns].reshape(n, rows, 2, columns, 2, c)
    windows = windows.transpose(0, 1, 3, 5, 2, 4).reshape(n, rows, columns, c, 4)
    index = jnp.argmax(windows, axis=-1, keepdims=True)
    values = jnp.take_along_axis(windows, index, axis=-1)
    return values[..., 0], index[..., 0].astype(jnp.uint8)


def max_unpool(x: Array, index: Array, size: tuple[int, int]) -> Array:
    """Put values back to their places; zero elsewhere.

    Args:
        x: pooled maps.
        index: places in the 2 x 2 windows, of `max_pool_indices`.
        size: height and width before the pooling.
    """

    def spread(maps: Array) -> Array:
        return jnp.repeat(jnp.repeat(maps, 2, axis=1), 2, axis=2)

    rows, columns = np.arange(2 * x.shape[1]), np.arange(2 * x.shape[2])
    place = (2 * (rows[:, None] % 2) + columns % 2).astype(np.uint8)[..., None]
    out = jnp.where(spread(index) == place, spread(x), jnp.zeros((), x.dtype))
    out = out[:, : size[0], : size[1]]
    pads = [(0, want - have) for want, have in zip(size, out.shape[1:3], strict=True)]
    return jnp.pad(out, ((0, 0), *pads, (0, 0)))

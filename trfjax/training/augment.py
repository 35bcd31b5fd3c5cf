"""Augmentation on the device: what moves the image moves its label."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, Shaped

from trfjax.typing import IGNORE


@dataclasses.dataclass(frozen=True)
class Augment:
    """The strength of every change of an image; 0 everywhere changes nothing."""

    flip: float = 0.5  # probability of a mirror image
    scale: float = 0.25  # zoom by a factor of 1/(1 + scale) to 1 + scale, then crop
    brightness: float = 0.1  # times 1 - brightness to 1 + brightness
    contrast: float = 0.1  # of the distance from the mean grey, likewise
    saturation: float = 0.1  # of the distance from each pixel's grey, likewise
    gamma: float = 0.0  # exponent of exp(-gamma) to exp(gamma)

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            limit = float("inf") if name in ("scale", "gamma") else 1
            if not 0 <= value <= limit:
                raise ValueError(f"{name}: {value} is not between 0 and {limit}")


STANDARD = Augment()
NONE = Augment(
    flip=0.0, scale=0.0, brightness=0.0, contrast=0.0, saturation=0.0, gamma=0.0
)


def augment(
    images: Float[Array, "b h w c"],
    labels: Shaped[Array, "b ..."],
    config: Augment,
    *,
    ignore: int | Int[Array, ""] = IGNORE,
    key: PRNGKeyArray,
) -> tuple[Float[Array, "b h w c"], Shaped[Array, "b ..."]]:
    """Change every image of a batch in its own way; pure, for use under `jit`.

    The same key moves any other map as it moves the labels.

    Args:
        images: in `[0, 1]`.
        labels: `(b, h, w)`, moved with the image, or `(b,)`; or weights of such.
        config: how much (static).
        ignore: the label of what lies outside the image after zooming out; 0 for
            weights.
        key: where the changes are drawn.
    """
    key_place, key_colour = jax.random.split(key)
    n = len(images)
    if config.flip or config.scale:
        keys = jax.random.split(key_place, n)

        def move(key, image, label):
            return _move(key, image, label, config, ignore)

        images, labels = jax.vmap(move)(keys, images, labels)
    return _recolour(images, config, key_colour), labels


def _move(
    key: PRNGKeyArray, image: Array, label: Array, config: Augment, ignore: Any
) -> tuple[Array, Array]:
    """Flip and zoom one image about a random window."""
    key_flip, key_zoom, key_place = jax.random.split(key, 3)
    mirrored = jax.random.bernoulli(key_flip, config.flip)
    reach = jnp.log1p(config.scale)
    zoom = jnp.exp(jax.random.uniform(key_zoom, minval=-reach, maxval=reach))
    height, width = image.shape[:2]
    place = jax.random.uniform(key_place, (2,))
    rows = _window(height, zoom, place[0])
    columns = _window(width, zoom, place[1])
    columns = jnp.where(mirrored, columns[::-1], columns)
    image = _linear(_linear(image, rows, 0), columns, 1)
    if label.ndim:
        row, row_inside = _nearest(rows, height)
        column, column_inside = _nearest(columns, width)
        inside = row_inside[:, None] & column_inside[None, :]
        label = jnp.where(inside, label[row][:, column], ignore)
    return image, label


def _window(n: int, zoom: Array, place: Array) -> Float[Array, " n"]:
    """Return where each new pixel looks in the old row, in pixel units.

    At `zoom` > 1 the window is smaller than the image, else the image lies within.
    """
    length = n / zoom
    start = place * (n - length)
    return start + (jnp.arange(n) + 0.5) / zoom - 0.5


def _linear(image: Array, where: Float[Array, " n"], axis: int) -> Array:
    """Interpolate along one axis; beyond the border the last pixel goes on."""
    n = image.shape[axis]
    where = jnp.clip(where, 0, n - 1)
    low = jnp.floor(where).astype(jnp.int32)
    high = jnp.minimum(low + 1, n - 1)
    shape = [1] * image.ndim
    shape[axis] = n
    share = (where - low).reshape(shape)
    below, above = jnp.take(image, low, axis), jnp.take(image, high, axis)
    return below + share * (above - below)


def _nearest(
    where: Float[Array, " n"], n: int
) -> tuple[Int[Array, " n"], Bool[Array, " n"]]:
    """Return the nearest old pixels, and which of them exist."""
    index = jnp.floor(where + 0.5).astype(jnp.int32)
    return jnp.clip(index, 0, n - 1), (index >= 0) & (index < n)


def _recolour(images: Array, config: Augment, key: PRNGKeyArray) -> Array:
    """Change the light and the colours; each step is left out at strength 0."""
    key_light, key_contrast, key_colour, key_gamma = jax.random.split(key, 4)

    def factors(key: PRNGKeyArray, strength: float) -> Array:
        shape = (len(images), 1, 1, 1)
        return jax.random.uniform(key, shape, minval=-strength, maxval=strength)

    changed = images
    if config.brightness:
        changed = changed * (1 + factors(key_light, config.brightness))
    if config.contrast:
        mean = changed.mean(axis=(1, 2, 3), keepdims=True)
        changed = mean + (changed - mean) * (1 + factors(key_contrast, config.contrast))
    if config.saturation:
        grey = changed.mean(axis=3, keepdims=True)
        changed = grey + (changed - grey) * (1 + factors(key_colour, config.saturation))
    if changed is not images:
        changed = jnp.clip(changed, 0, 1)
    if config.gamma:
        power = jnp.exp(factors(key_gamma, config.gamma))
        changed = jnp.clip(changed, 1e-6, 1) ** power
    return changed

"""The last step: what a camera or a game makes of the colours."""

from __future__ import annotations

import numpy as np

from trfjax.data.synthetic.cities import City


def halve(image: np.ndarray) -> np.ndarray:
    """Average blocks of 2 x 2 pixels of colours (3, h, w)."""
    rows = image[..., ::2, :] + image[..., 1::2, :]
    return (rows[..., ::2] + rows[..., 1::2]) * np.float32(0.25)


def mirror(image: np.ndarray, ground: np.ndarray, horizon: float) -> None:
    """Let wet ground mirror what stands above it, in place."""
    height = image.shape[1]
    rows = np.arange(height, dtype=np.float32)
    above = np.clip(2 * horizon - rows, 0, height - 1).astype(int)
    share = np.clip(0.62 - 0.004 * (rows - horizon) * 96 / height, 0.3, 0.62)
    soft = image.copy()
    soft[:, 1:-1] = (image[:, :-2] + image[:, 1:-1] + image[:, 2:]) / 3
    mixed = image * 0.78 + (soft[:, above] - image * 0.4) * share[:, None]
    image[:, ground] = mixed[:, ground]


def photograph(image: np.ndarray, city: City, rng: np.random.Generator) -> np.ndarray:
    """Finish as a camera does: glow, exposure, tint, vignette, blur and noise.

    Args:
        image: colours, (3, h, w).
        city: style.
        rng: draws exposure and noise.

    Returns:
        RGB, (h, w, 3) uint8.
    """
    _, height, width = image.shape
    image = _soften(image, 0.12)
    exposure = 1.14 * city.exposure * float(rng.uniform(0.9, 1.1))
    image = image * np.array([[[v * exposure]] for v in city.tint], np.float32)
    image = (image - 118) * np.float32(city.contrast) + 118
    if city.night > 0.3:
        image = image + _glow(image) * np.float32(0.6 * city.night)
    rows = np.linspace(-1, 1, height, dtype=np.float32)[:, None] ** 2
    columns = np.linspace(-1, 1, width, dtype=np.float32) ** 2
    image = image * (1.03 - 0.13 * (rows + columns))
    grain = rng.standard_normal((height, width), np.float32)
    colour = rng.standard_normal((3, height, width), np.float32)
    image = image + np.float32(city.noise) * (0.8 * grain + 0.45 * colour)
    if city.weather == "snow":
        flakes = rng.random((height, width), np.float32) > 0.993
        image[:, flakes] = image[:, flakes] * 0.35 + 160.0
    return _stored(image + 0.5)


def _soften(image: np.ndarray, share: float) -> np.ndarray:
    """Mix every pixel with its four neighbours."""
    wide = np.pad(image, ((0, 0), (1, 1), (1, 1)), mode="edge")
    around = wide[:, :-2, 1:-1] + wide[:, 2:, 1:-1]
    around += wide[:, 1:-1, :-2] + wide[:, 1:-1, 2:]
    return image * np.float32(1 - 4 * share) + around * np.float32(share)


def _glow(image: np.ndarray) -> np.ndarray:
    """Return the halo of what is brighter than paper."""
    bright = np.clip(image - 205.0, 0, 160)
    for axis, length in ((1, bright.shape[1]), (2, bright.shape[2])):
        reach = max(length // 40, 2)
        total = np.cumsum(bright, axis=axis, dtype=np.float32)
        ahead = np.minimum(np.arange(length) + reach, length - 1)
        behind = np.maximum(np.arange(length) - reach, 0)
        bright = np.take(total, ahead, axis) - np.take(total, behind, axis)
        bright /= np.float32(reach)
    return np.minimum(bright, 110.0)


def animate(image: np.ndarray, things: np.ndarray, depth_far: np.ndarray) -> np.ndarray:
    """Finish as a game does: few tones, dark outlines, no noise.

    Args:
        image: colours, (3, h, w).
        things: number of the object at every pixel, (h, w).
        depth_far: where no outline is drawn, (h, w) bool.

    Returns:
        RGB, (h, w, 3) uint8.
    """
    image = np.round(np.clip(image * 1.06, 0, 255) / 15.0) * 15.0
    edge = np.zeros(things.shape, bool)
    edge[:, 1:] |= things[:, 1:] != things[:, :-1]
    edge[1:] |= things[1:] != things[:-1]
    edge &= ~depth_far
    image[:, edge] *= 0.42
    return _stored(image)


def _stored(image: np.ndarray) -> np.ndarray:
    """Return colours (3, h, w) as bytes (h, w, 3)."""
    stored = np.clip(image, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(stored.transpose(1, 2, 0))

"""Patterns of the ground: carriageway, setts, slabs, grass."""

from __future__ import annotations

import numpy as np

from trfjax.data.synthetic.pixels import Pixels, fade, frac, sample, scaled, toward


def asphalt(rgb: np.ndarray, p: Pixels) -> np.ndarray:
    """Carriageway: grain, tracks, lane lines; `seed` holds its half width."""
    near = fade(p.size, 40.0)
    shade = 1 + 0.07 * near * sample(p.tiles.grain, p.z * 23, p.x * 23)
    shade += 0.10 * sample(p.tiles.cloudy, p.z * 5, p.x * 14)
    half = p.of("seed")
    shade -= 0.05 * (np.abs(np.abs(p.x) - half * 0.5) < 0.9)
    paint = (np.abs(p.x) < 0.08) & (frac(p.z / 6.0) < 0.5)
    wide = half > 5.2
    paint |= wide & (np.abs(np.abs(p.x) - half * 0.52) < 0.07) & (frac(p.z / 6) < 0.4)
    paint |= (half > 3.6) & (np.abs(np.abs(p.x) - half + 0.35) < 0.06)
    seen = paint * np.clip(p.size / 9.0, 0.25, 0.85)
    if p.city.weather == "snow":
        seen *= 0.25
        track = np.abs(np.abs(p.x) - half * 0.5)
        drift = np.clip(np.abs(track - 0.75) * 1.3, 0, 1) * 0.55
        drift += 0.3 * sample(p.tiles.cloudy, p.z * 9, p.x * 30)
        rgb = toward(rgb, (222, 228, 236), np.clip(drift, 0, 0.8))
    return toward(scaled(rgb, shade), (226, 224, 214), seen)


def plain_road(rgb: np.ndarray, p: Pixels) -> np.ndarray:
    """The carriageway of a side street."""
    return scaled(rgb, 1 + 0.08 * sample(p.tiles.cloudy, p.z * 6, p.x * 6))


def cobbles(rgb: np.ndarray, p: Pixels) -> np.ndarray:
    """Setts in rows, each of its own shade."""
    row = np.floor(p.z * 4)
    at = p.x * 5 + 0.5 * (row % 2)
    near = fade(p.size, 26.0)
    shade = 1 + 0.15 * near * sample(p.tiles.grain, row, at + 999)
    joint = (frac(p.z * 4) < 0.18) | (frac(at) < 0.18)
    shade -= 0.17 * near * joint
    return scaled(rgb, shade + 0.08 * sample(p.tiles.cloudy, p.z * 9, p.x * 9))


def slabs(rgb: np.ndarray, p: Pixels) -> np.ndarray:
    """Paving slabs, a kerb stone where they meet the carriageway."""
    near = fade(p.size, 22.0)
    shade = 1 + 0.06 * near * sample(p.tiles.grain, p.z * 1.6 + 500, p.x * 1.6 + 500)
    joint = (frac(p.z * 1.6) < 0.09) | (frac(p.x * 1.6) < 0.09)
    shade -= 0.14 * near * joint
    return scaled(rgb, shade + 0.09 * sample(p.tiles.cloudy, p.z * 6, p.x * 6))


def grass(rgb: np.ndarray, p: Pixels) -> np.ndarray:
    """Grass or bare soil, in tufts and patches."""
    near = fade(p.size, 30.0)
    shade = 1 + 0.16 * near * sample(p.tiles.leafy, p.z * 30, p.x * 30)
    shade += 0.08 * near * sample(p.tiles.grain, p.z * 19, p.x * 19)
    patch = sample(p.tiles.cloudy, p.z * 7, p.x * 7)
    if p.city.weather == "snow":
        return scaled(rgb, 1 + 0.25 * (shade - 1) + 0.04 * patch)
    return toward(scaled(rgb, shade + 0.1 * patch), (150, 134, 90), patch.clip(0, 0.4))

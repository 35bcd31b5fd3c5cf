"""Patterns of fences, plants and vehicles, and the table of all patterns."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from trfjax.data.synthetic import masonry, paving
from trfjax.data.synthetic import texture as t
from trfjax.data.synthetic.pixels import Pixels, fade, frac, sample, scaled, toward

Pattern = Callable[[np.ndarray, Pixels], np.ndarray]


def pickets(rgb: np.ndarray, p: Pixels) -> np.ndarray:
    """Upright slats before a dark ground, between two rails."""
    sharp = np.maximum(fade(p.grain * 0.28, 2.0), 0.2)
    hole = (frac(p.along / 0.28) > 0.55) & (np.abs(p.y - 0.25) > 0.07)
    hole &= np.abs(p.y - p.of("height") + 0.15) > 0.07
    return toward(rgb, np.array(p.city.grass, np.float32) * 0.5, 0.8 * hole * sharp)


def mesh(rgb: np.ndarray, p: Pixels) -> np.ndarray:
    """Wire netting between posts: mostly what lies behind it."""
    behind = np.array(p.city.walk, np.float32) * 0.72
    post = (frac(p.along / 2.5) < 0.05) | (np.abs(p.y - p.of("height") + 0.05) < 0.06)
    wire = (frac((p.along + p.y) * 2.2) < 0.22) | (frac((p.along - p.y) * 2.2) < 0.22)
    sharp = fade(p.grain * 0.45, 3.0)
    share = np.where(post, 0.0, np.where(wire, 0.8 - 0.55 * sharp, 0.8))
    return toward(rgb, behind, share)


def rails(rgb: np.ndarray, p: Pixels) -> np.ndarray:
    """A guard rail: bright bars before a dark gap."""
    bar = (np.abs(p.y - 0.9) < 0.12) | (np.abs(p.y - 0.5) < 0.1)
    bar |= frac(p.along / 2.0) < 0.06
    return toward(rgb, np.array(p.city.grass, np.float32) * 0.62, 0.85 * ~bar)


def leaves(rgb: np.ndarray, p: Pixels) -> np.ndarray:
    """Foliage: clumps, leaves, light from above."""
    near = fade(p.size, 16.0)
    spread = p.x + p.z
    shade = 0.96 + 0.34 * near * sample(p.tiles.leafy, p.y * 26, spread * 26)
    shade += 0.14 * near * sample(p.tiles.grain, p.y * 11, spread * 11)
    shade += 0.12 * sample(p.tiles.cloudy, p.y * 22, spread * 22)
    rgb = scaled(rgb, shade)
    if p.city.weather == "snow":
        snow = sample(p.tiles.leafy, p.y * 12 + 77, spread * 12) + 0.12
        rgb = toward(rgb, (228, 234, 242), np.clip(snow * 1.4, 0, 0.6))
    return rgb


def far_leaves(rgb: np.ndarray, p: Pixels) -> np.ndarray:
    """Woods too far to show leaves."""
    return scaled(rgb, 1 + 0.1 * sample(p.tiles.leafy, p.y * 2.0, p.x * 2.0))


def bark(rgb: np.ndarray, p: Pixels) -> np.ndarray:
    """Furrowed bark."""
    return scaled(rgb, 1 + 0.2 * sample(p.tiles.leafy, p.y * 14, p.x * 60))


def paint(rgb: np.ndarray, p: Pixels) -> np.ndarray:
    """Car paint: it mirrors the sky above and the road below."""
    shine = np.clip((p.y - 0.75) * 0.7, -0.28, 0.16).astype(np.float32)
    return toward(scaled(rgb, 1 + shine), p.city.sky[1], np.clip(shine, 0, 0.2))


def glass(rgb: np.ndarray, p: Pixels) -> np.ndarray:
    """Vehicle windows: a streak of sky."""
    streak = np.clip(0.16 + 0.4 * (frac((p.x + p.y * 0.8 + p.z) * 0.6) > 0.7), 0, 1)
    return toward(rgb, p.city.sky[1], 0.45 * streak)


PATTERNS: dict[int, Pattern] = {
    t.ASPHALT: paving.asphalt,
    t.PLAIN_ROAD: paving.plain_road,
    t.COBBLES: paving.cobbles,
    t.SLABS: paving.slabs,
    t.GRASS: paving.grass,
    t.FACADE: masonry.facade,
    t.PLASTER: masonry.plaster,
    t.PANELS: masonry.panels,
    t.ROOF: masonry.roof,
    t.BRICKS: masonry.bricks,
    t.PICKETS: pickets,
    t.MESH: mesh,
    t.RAILS: rails,
    t.LEAVES: leaves,
    t.FAR_LEAVES: far_leaves,
    t.BARK: bark,
    t.PAINT: paint,
    t.GLASS: glass,
}

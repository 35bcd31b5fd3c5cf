"""Patterns of buildings and walls: windows, shops, sheet metal, blocks, tiles."""

from __future__ import annotations

import numpy as np

from trfjax.data.synthetic.cities import City
from trfjax.data.synthetic.pixels import (
    Pixels,
    cover,
    fade,
    frac,
    sample,
    scaled,
    toward,
)


def facade(rgb: np.ndarray, p: Pixels) -> np.ndarray:
    """Rows of windows with frames and sills, shops below, a cornice on top."""
    pitch, storey, seed = p.of("pitch"), p.of("storey"), p.of("seed")
    height = p.of("height")
    at, up = p.along / pitch, (p.y - 0.35) / storey
    column, level = np.floor(at), np.floor(up)
    dx, dy = np.abs(at - column - 0.5), np.abs(up - level - 0.52)
    wide, tall = p.of("glass") / 2, p.of("pane") / 2
    below = p.y < height - 0.55
    shop = (p.of("shops") > 0) & (p.y < 3.3)
    window = (dx < wide) & (dy < tall) & below & ~shop
    frame = (dx < wide + 0.045) & (dy < tall + 0.04) & below & ~shop & ~window
    luck = sample(p.tiles.luck, column + seed * 7, level * 13 + seed)
    shade = 1 + 0.05 * sample(p.tiles.cloudy, p.y * 12 + seed * 9, p.along * 9)
    shade -= 0.13 * np.clip(1 - p.y / 1.6, 0, 1)
    shade = np.where(np.abs(p.y - height + 0.35) < 0.22, shade + 0.1, shade)
    shade = np.where((frac(up) < 0.05) & ~shop, shade - 0.07, shade)
    rgb = scaled(rgb, shade)
    sharp = np.maximum(fade(p.grain * pitch, 7.0), 0.25)
    cover(rgb, frame, (230, 228, 222), 0.5 * sharp)
    behind = _panes(p.city, luck[window], (up - level)[window])
    cover(rgb, window, behind, 0.92 * sharp)
    _shops(rgb, p, shop, sharp)
    return rgb


def _panes(city: City, luck: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Return what the glass shows: the sky above, a dark or a lit room below."""
    dark = np.array(((44,), (52,), (62,)), np.float32)
    share = np.clip(0.12 + 0.3 * luck + 0.35 * (up - 0.5), 0.0, 0.6)
    glass = toward(dark, city.sky[1], share)
    lit = (luck > 1 - 0.75 * city.night) if city.night > 0 else luck > 0.94
    lamp = np.array(((255,), (214,), (140,)), np.float32)
    bright = (1.0 + 1.1 * city.night) * (0.6 + 0.3 * np.abs(luck))
    return np.where(lit, lamp * bright, glass)


def _shops(rgb: np.ndarray, p: Pixels, shop: np.ndarray, sharp: np.ndarray) -> None:
    """Put shop windows, doors and sign boards on the ground floor."""
    if not shop.any():
        return
    bay = p.along / 3.6
    column = np.floor(bay)
    at = bay - column
    seed = p.of("seed")
    tone = sample(p.tiles.luck, column + seed, seed * 3 + 11)
    board = shop & (p.y > 2.65) & (p.y < 3.2)
    hue = np.stack(
        [130 + 90 * tone, 110 + 70 * np.sin(9 * tone), 100 + 80 * np.cos(7 * tone)]
    )
    cover(rgb, board, hue.clip(20, 240)[:, board], 0.85 * sharp)
    pane = shop & (p.y > 0.5) & (p.y < 2.5) & (at > 0.08) & (at < 0.68)
    pane |= shop & (p.y < 2.4) & (at > 0.75) & (at < 0.95)
    glow = 0.4 + 0.35 * sample(p.tiles.cloudy, p.y * 40, p.along * 30 + seed)
    glow += 1.5 * p.city.night * (tone > -0.6)
    lamp = np.array(((101,), (95,), (86,)), np.float32)
    if p.city.night > 0:
        lamp = np.array(((126,), (99,), (69,)), np.float32)
    cover(rgb, pane, lamp * glow[pane], 0.92 * sharp)


def plaster(rgb: np.ndarray, p: Pixels) -> np.ndarray:
    """A surface with slight stains."""
    return scaled(rgb, 1 + 0.07 * sample(p.tiles.cloudy, p.y * 14, (p.x + p.z) * 14))


def panels(rgb: np.ndarray, p: Pixels) -> np.ndarray:
    """Ribbed sheet metal, a band of windows, gates."""
    sharp = fade(p.grain * 0.6, 2.5)
    shade = 1 + 0.08 * sharp * np.sign(frac(p.along / 0.6) - 0.5)
    shade += 0.08 * sample(p.tiles.cloudy, p.y * 12, p.along * 4)
    rgb = scaled(rgb, shade)
    pitch, seed = p.of("pitch"), p.of("seed")
    at = p.along / pitch
    column = np.floor(at)
    luck = sample(p.tiles.luck, column + seed, seed + 5)
    high = p.of("height")
    band = (np.abs(p.y - high * 0.72) < 0.5) & (np.abs(at - column - 0.5) < 0.36)
    gate = (luck > 0.3) & (p.y < 3.6) & (np.abs(at - column - 0.5) < 0.3)
    rgb = toward(rgb, (64, 72, 80), 0.85 * band)
    return toward(rgb, scaled(rgb, 0.62 + 0.25 * luck), 0.9 * gate)


def roof(rgb: np.ndarray, p: Pixels) -> np.ndarray:
    """Courses of tiles, seen from afar."""
    near = fade(p.size, 20.0)
    shade = 1 + 0.12 * near * np.sign(frac(p.y * 2.6) - 0.4)
    return scaled(rgb, shade + 0.1 * sample(p.tiles.cloudy, p.y * 30, p.x * 9))


def bricks(rgb: np.ndarray, p: Pixels) -> np.ndarray:
    """Courses of large blocks with a coping on top."""
    row = np.floor(p.y / 0.3)
    at = p.along / 0.75 + 0.5 * (row % 2)
    near = fade(p.grain * 0.75, 5.0)
    joint = (frac(p.y / 0.3) < 0.14) | (frac(at) < 0.07)
    shade = 1 + near * (0.07 * sample(p.tiles.grain, row, at) - 0.15 * joint)
    shade += 0.12 * sample(p.tiles.cloudy, p.y * 20, p.along * 6)
    return scaled(rgb, np.where(p.y > p.of("height") - 0.16, 1.14, shade))

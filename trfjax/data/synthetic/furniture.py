"""What stands on the pavement: lamp posts, signs, traffic lights, bins."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from trfjax.data.synthetic import classes as c
from trfjax.data.synthetic import texture as t
from trfjax.data.synthetic.canvas import Canvas, ring
from trfjax.data.synthetic.cities import City
from trfjax.data.synthetic.layout import Item
from trfjax.typing import IGNORE

Maker = Callable[[Canvas, City, Item, np.random.Generator], None]
STEEL = (112, 116, 118)


def _post(
    canvas: Canvas, x: float, z: float, height: float, width: float = 0.13
) -> float:
    """Draw a vertical post at least one pixel wide; return half its width."""
    half = max(width / 2, 0.95 / canvas.scale(z))
    shape = ((x - half, 0.0), (x + half, 0.0), (x + half, height), (x - half, height))
    canvas.face(c.POLE, STEEL, z, shape)
    lit = ((x - half, 0.0), (x - half * 0.2, 0.0), (x - half * 0.2, height))
    if canvas.scale(z) > 12.0:
        canvas.face(c.POLE, (148, 152, 152), z, (*lit, (x - half, height)))
    return half


def lamp(canvas: Canvas, city: City, item: Item, rng: np.random.Generator) -> None:
    """Draw a street lamp whose arm reaches over the carriageway."""
    height, reach = 6.4 + float(rng.uniform(-0.6, 0.8)), 1.5
    x, z, inward = item.x, item.z, -1.0 if item.x > 0 else 1.0
    half = _post(canvas, x, z, height, 0.16)
    arm = (
        (x - half, height - 0.1),
        (x + inward * reach, height + 0.25),
        (x + inward * reach, height + 0.25 + 2 * half),
        (x, height + half),
    )
    canvas.face(c.POLE, STEEL, z, arm)
    glow = (255, 226, 160) if city.night > 0.3 else (196, 198, 194)
    head = (x + inward * reach, height + 0.2)
    texture = t.GLOW if city.night > 0.3 else t.FLAT
    shape = (
        (head[0] - 0.42, head[1] - 0.08),
        (head[0] + 0.42, head[1] - 0.08),
        (head[0] + 0.3, head[1] + 0.16),
        (head[0] - 0.3, head[1] + 0.16),
    )
    canvas.face(c.POLE, glow, z, shape, texture)


def sign(canvas: Canvas, city: City, item: Item, rng: np.random.Generator) -> None:
    """Draw one or two signs on a post: a disc, a triangle, a board or a diamond."""
    x, z = item.x, item.z
    top = float(rng.uniform(2.3, 2.9))
    _post(canvas, x, z, top + 0.3, 0.08)
    for y in (top, top - 0.75)[: 1 + int(rng.random() < 0.3)]:
        kind, r = int(rng.integers(5)), float(rng.uniform(0.36, 0.46))
        spot = (x, y, z)
        if kind == 0:
            canvas.disc(c.TRAFFIC_SIGN, (200, 30, 36), spot, (r, r), t.BOARD)
            canvas.disc(c.TRAFFIC_SIGN, (238, 236, 232), spot, (r * 0.7, r * 0.7))
        elif kind == 1:
            canvas.disc(c.TRAFFIC_SIGN, (34, 82, 168), spot, (r, r), t.BOARD)
            canvas.disc(c.TRAFFIC_SIGN, (226, 230, 236), spot, (r * 0.25, r * 0.6))
        elif kind == 2:
            for size, rgb in ((1.15, (204, 34, 38)), (0.68, (240, 238, 230))):
                shape = ring((0.0, 0.0), r * size, 3)
                shape = [(x + b, y + a) for a, b in shape]
                canvas.face(c.TRAFFIC_SIGN, rgb, z, shape, t.BOARD)
        elif kind == 3:
            for size, rgb in ((1.1, (240, 238, 230)), (0.78, (240, 196, 40))):
                shape = ring((x, y), r * size, 4)
                canvas.face(c.TRAFFIC_SIGN, rgb, z, shape, t.BOARD)
        else:
            rgb = ((36, 90, 172), (30, 112, 78), (232, 230, 224))[int(rng.integers(3))]
            wide, high = r * 1.5, r * 0.9
            shape = ((x - wide, y - high), (x + wide, y - high))
            shape += ((x + wide, y + high), (x - wide, y + high))
            canvas.face(c.TRAFFIC_SIGN, rgb, z, shape, t.BOARD)


def light(canvas: Canvas, city: City, item: Item, rng: np.random.Generator) -> None:
    """Draw a traffic light, often with a second one over the carriageway."""
    x, z, inward = item.x, item.z, -1.0 if item.x > 0 else 1.0
    _post(canvas, x, z, 3.5)
    state = int(rng.integers(3))
    spots = [(x, 2.9)]
    if rng.random() < 0.5:
        half = max(0.06, 0.8 / canvas.scale(z))
        reach = x + inward * 3.0
        shape = ((x, 5.0 - half), (reach, 5.2 - half), (reach, 5.2 + half))
        _post(canvas, x, z, 5.1)
        canvas.face(c.POLE, STEEL, z, (*shape, (x, 5.0 + half)))
        spots.append((reach, 5.0))
    lamps = ((232, 44, 36), (246, 186, 40), (48, 220, 120))
    for a, b in spots:
        wide, high = max(0.2, 1.6 / canvas.scale(z)), 0.58
        shape = ((a - wide, b - high), (a + wide, b - high))
        shape += ((a + wide, b + high), (a - wide, b + high))
        canvas.face(c.TRAFFIC_LIGHT, (32, 34, 34), z, shape)
        for i, rgb in enumerate(lamps):
            on = i == state
            rgb = rgb if on else tuple(v // 5 for v in rgb)
            spot = (a, b + 0.36 - 0.36 * i, z)
            r = wide * 0.68 if on else wide * 0.55
            texture = t.GLOW if on else t.FLAT
            canvas.disc(c.TRAFFIC_LIGHT, rgb, spot, (r, 0.15), texture)


def bin_(canvas: Canvas, city: City, item: Item, rng: np.random.Generator) -> None:
    """Draw a litter bin or a cabinet, which no class covers."""
    rgb = ((62, 84, 70), (112, 112, 108), (70, 74, 84))[int(rng.integers(3))]
    wide, high = float(rng.uniform(0.22, 0.45)), float(rng.uniform(0.8, 1.2))
    xs, zs = (item.x - wide, item.x + wide), (item.z, item.z + 0.5)
    canvas.box(IGNORE, rgb, xs, (0.0, high), zs)


MAKERS: dict[str, Maker] = {"lamp": lamp, "sign": sign, "light": light, "bin": bin_}

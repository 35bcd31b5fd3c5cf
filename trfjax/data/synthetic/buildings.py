"""What stands on a lot: facades, houses, halls, walls, fences, gardens."""

from __future__ import annotations

import numpy as np

from trfjax.data.synthetic import classes as c
from trfjax.data.synthetic import texture as t
from trfjax.data.synthetic.canvas import Canvas, Colour, Point
from trfjax.data.synthetic.cities import City
from trfjax.data.synthetic.facades import (
    height_of,
    jitter,
    pick,
    slope,
    window_pattern,
)
from trfjax.data.synthetic.ground import span
from trfjax.data.synthetic.layout import Lot, Street
from trfjax.data.synthetic.plants import hedge, tree


def build(canvas: Canvas, city: City, street: Street, lot: Lot) -> None:
    """Draw one lot."""
    rng = np.random.default_rng(lot.seed)
    canvas.start()
    maker = {
        "row": _row,
        "tower": _row,
        "house": _house,
        "hall": _hall,
        "wall": _walled,
        "park": _park,
        "open": _open,
    }.get(lot.kind)
    if maker is not None and canvas.visible(lot.end):
        maker(canvas, city, street, lot, rng)


def _row(
    canvas: Canvas, city: City, street: Street, lot: Lot, rng: np.random.Generator
) -> None:
    """A building at the line, wall to wall with its neighbours."""
    height = height_of(city, rng)
    rgb = jitter(pick(city.facades, rng), 16.0, rng)
    roof = jitter(pick(city.roofs, rng), 8.0, rng)
    x = lot.side * (street.line + float(rng.choice((0.0, 0.0, 0.25, 0.6))))
    deep, pattern = x + lot.side * 13.0, window_pattern(city, lot.start, height, rng)
    front = window_pattern(city, x, height, rng)
    canvas.face(
        c.BUILDING,
        tuple(v * 0.93 for v in rgb),
        lot.start,
        ((x, 0.0), (deep, 0.0), (deep, height), (x, height)),
        t.FACADE,
        (*front[:7], 0.0),
    )
    if lot.kind == "row":
        slope(canvas, roof, x, lot.side * 4.0, (lot.start, lot.end), height, 2.4)
        middle = x + lot.side * 6.5
        gable = ((x, height), (deep, height), (middle, height + 3.9))
        canvas.face(c.BUILDING, rgb, lot.start, gable, t.PLASTER)
    wall = [(lot.start, 0.0), (lot.end, 0.0), (lot.end, height), (lot.start, height)]
    canvas.side(c.BUILDING, rgb, x, wall, t.FACADE, pattern)


def _garden(canvas: Canvas, city: City, street: Street, lot: Lot, depth: float) -> None:
    xs = span(lot.side, street.line, street.line + depth)
    canvas.ground(c.TERRAIN, t.GRASS, city.grass, xs, (lot.start, lot.end))


def _house(
    canvas: Canvas, city: City, street: Street, lot: Lot, rng: np.random.Generator
) -> None:
    """A detached house behind a garden, with trees and a boundary."""
    _garden(canvas, city, street, lot, 40.0)
    height = height_of(city, rng)
    rgb = jitter(pick(city.facades, rng), 14.0, rng)
    roof = jitter(pick(city.roofs, rng), 8.0, rng)
    x = lot.side * (street.line + rng.uniform(3.0, 7.0))
    start, end = lot.start + rng.uniform(1.5, 3.5), lot.end - rng.uniform(1.0, 2.5)
    deep, rise = x + lot.side * rng.uniform(8.0, 11.0), rng.uniform(2.4, 3.8)
    if rng.random() < 0.7:
        behind = x + lot.side * rng.uniform(6.0, 16.0)
        tree(canvas, city, behind, lot.end - 0.5, rng, size=1.3)
    wall = ((x, 0.0), (deep, 0.0), (deep, height), (x, height))
    gable = ((x, height), (deep, height), ((x + deep) / 2, height + rise))
    canvas.start()
    slope(canvas, roof, x, (deep - x) / 2, (start, end), height, rise)
    front = tuple(v * 0.95 for v in rgb)
    pattern = window_pattern(city, x, height, rng)
    canvas.face(c.BUILDING, front, start, wall, t.FACADE, pattern)
    canvas.face(c.BUILDING, front, start, gable, t.PLASTER)
    side = ((start, 0.0), (end, 0.0), (end, height), (start, height))
    canvas.side(
        c.BUILDING, rgb, x, side, t.FACADE, window_pattern(city, start, height, rng)
    )
    if rng.random() < 0.6:
        spot = lot.side * (street.line + rng.uniform(1.2, 2.5))
        tree(canvas, city, spot, lot.start + rng.uniform(0.5, 1.4), rng, size=0.6)
    _boundary(canvas, city, street, lot, rng)


def _boundary(
    canvas: Canvas, city: City, street: Street, lot: Lot, rng: np.random.Generator
) -> None:
    """Draw what separates a garden from the pavement, leaving a gate open."""
    x = lot.side * street.line
    gate = lot.start + rng.uniform(3.0, 6.0)
    kind = int(rng.choice(4, p=(0.36, 0.32, 0.22, 0.1)))
    for start, end in ((gate + 2.6, lot.end), (lot.start, gate)):
        canvas.start()
        if kind == 0:
            hedge(canvas, city, x, (start, end), 1.0 + 0.5 * float(rng.random()))
        elif kind == 1:
            rgb = jitter(
                pick(((206, 204, 198), (118, 92, 68), (84, 88, 88)), rng), 8.0, rng
            )
            _screen(canvas, c.FENCE, rgb, x, (start, end), 1.1, t.PICKETS)
        elif kind == 2:
            rgb = jitter(pick(city.facades, rng), 18.0, rng)
            _screen(canvas, c.WALL, rgb, x, (start, end), 0.95, t.BRICKS)


def _screen(
    canvas: Canvas,
    label: int,
    rgb: Colour,
    x: float,
    zs: Point,
    height: float,
    texture: int,
) -> None:
    """Draw a thin upright screen along the street."""
    corners = [(zs[0], 0.0), (zs[1], 0.0), (zs[1], height), (zs[0], height)]
    pattern = (zs[0], height, 1.0, 3.0, 0.0, 0.0, 0.0, 0.0)
    canvas.side(label, rgb, x, corners, texture, pattern)


def _hall(
    canvas: Canvas, city: City, street: Street, lot: Lot, rng: np.random.Generator
) -> None:
    """A factory or storehouse behind a yard, usually fenced."""
    height = float(rng.uniform(6.0, 10.5))
    rgb = jitter(pick(city.facades, rng), 14.0, rng)
    x = lot.side * (street.line + rng.uniform(0.5, 6.0))
    deep, end = x + lot.side * 26.0, lot.end - 2.0
    canvas.face(
        c.BUILDING,
        tuple(v * 0.93 for v in rgb),
        lot.start,
        ((x, 0.0), (deep, 0.0), (deep, height), (x, height)),
        t.PANELS,
        (x, height, 6.0, 4.0, 0.5, 0.2, 7.0, 0.0),
    )
    wall = ((lot.start, 0.0), (end, 0.0), (end, height), (lot.start, height))
    pattern = (lot.start, height, 6.5, 4.0, 0.55, 0.22, float(rng.integers(99)), 1.0)
    canvas.side(c.BUILDING, rgb, x, wall, t.PANELS, pattern)
    if rng.random() < 0.55:
        canvas.start()
        fence = jitter((126, 130, 128), 12.0, rng)
        _screen(
            canvas,
            c.FENCE,
            fence,
            lot.side * street.line,
            (lot.start, lot.end),
            2.0,
            t.MESH,
        )


def _walled(
    canvas: Canvas, city: City, street: Street, lot: Lot, rng: np.random.Generator
) -> None:
    """A long wall with tree tops or a roof behind it."""
    for _ in range(int(rng.integers(0, 4))):
        x = lot.side * (street.line + rng.uniform(3.0, 8.0))
        tree(canvas, city, x, rng.uniform(lot.start, lot.end), rng, size=1.1)
    canvas.start()
    rgb = jitter(pick(city.facades, rng), 22.0, rng)
    height, x = float(rng.uniform(2.2, 3.4)), lot.side * street.line
    front = ((x, 0.0), (x + lot.side * 20.0, 0.0))
    top = ((x + lot.side * 20.0, height), (x, height))
    canvas.face(c.WALL, rgb, lot.start, front + top, t.BRICKS)
    _screen(canvas, c.WALL, rgb, x, (lot.start, lot.end), height, t.BRICKS)


def _park(
    canvas: Canvas, city: City, street: Street, lot: Lot, rng: np.random.Generator
) -> None:
    """Grass and trees, sometimes behind railings."""
    _garden(canvas, city, street, lot, 40.0)
    back = lot.side * (street.line + 24.0)
    hedge(canvas, city, back, (lot.start, lot.end), float(rng.uniform(3.0, 7.0)))
    spots = sorted(rng.uniform(lot.start, lot.end, 5), reverse=True)
    for z in spots:
        canvas.start()
        x = lot.side * (street.line + rng.uniform(3.0, 18.0))
        tree(canvas, city, float(x), float(z), rng, size=float(rng.uniform(0.8, 1.4)))
    if rng.random() < 0.6:
        canvas.start()
        x, rgb = lot.side * street.line, jitter((70, 78, 72), 14.0, rng)
        _screen(canvas, c.FENCE, rgb, x, (lot.start, lot.end), 1.2, t.PICKETS)


def _open(
    canvas: Canvas, city: City, street: Street, lot: Lot, rng: np.random.Generator
) -> None:
    """Open land or a quay, with a rail or a low wall at its edge."""
    _garden(canvas, city, street, lot, 300.0)
    x, drawn = lot.side * (street.line + 0.2), rng.random()
    for _ in range(int(rng.integers(0, 3))):
        spot = lot.side * (street.line + rng.uniform(6.0, 40.0))
        tree(canvas, city, float(spot), lot.end - 1.0, rng, size=0.8)
    canvas.start()
    if drawn < 0.45:
        rgb = jitter((196, 200, 202), 14.0, rng)
        _screen(canvas, c.FENCE, rgb, x, (lot.start, lot.end), 1.0, t.RAILS)
    elif drawn < 0.7:
        rgb = jitter((158, 154, 146), 14.0, rng)
        _screen(canvas, c.WALL, rgb, x, (lot.start, lot.end), 0.9, t.BRICKS)

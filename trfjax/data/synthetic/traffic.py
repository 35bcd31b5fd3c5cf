"""Cars, lorries and buses, built from boxes and profiles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trfjax.data.synthetic import classes as c
from trfjax.data.synthetic import texture as t
from trfjax.data.synthetic.canvas import ACROSS, Canvas, Colour, Point, ring
from trfjax.data.synthetic.cities import City
from trfjax.data.synthetic.layout import Item

PAINTS = (
    (34, 36, 40),
    (52, 56, 64),
    (176, 180, 184),
    (226, 228, 228),
    (142, 28, 32),
    (36, 62, 118),
    (92, 98, 104),
    (60, 96, 122),
    (150, 142, 124),
    (44, 74, 60),
)
GLASS = (44, 54, 66)
TYRE = (26, 26, 28)


def _tone(rgb: Colour, factor: float) -> Colour:
    r, g, b = (min(v * factor, 255.0) for v in rgb)
    return (r, g, b)


def _shadow(canvas: Canvas, xs: Point, zs: Point) -> None:
    """Darken the road below a vehicle."""
    inner = (xs[0] - 0.12, xs[1] + 0.12), (zs[0] - 0.25, zs[1] + 0.3)
    canvas.ground(c.ROAD, t.SHADOW, (46, 46, 50), *inner)


def _wheels(
    canvas: Canvas, label: int, xs: Point, spots: Sequence[float], radius: float
) -> None:
    """Draw the wheels of the visible side, and the near pair from behind."""
    for x, seen in ((xs[0], xs[0] > canvas.camera.x), (xs[1], xs[1] < canvas.camera.x)):
        if not seen:
            continue
        for z in spots:
            if canvas.visible(z - radius):
                canvas.side(label, TYRE, x, ring((z, radius), radius))
                if canvas.scale(z) > 14.0:
                    hub = ring((z, radius), radius * 0.55, 8)
                    canvas.side(label, (128, 130, 134), x, hub)


def _rear_wheels(canvas: Canvas, label: int, xs: Point, z: float, high: float) -> None:
    for x in (xs[0] + 0.05, xs[1] - 0.3):
        shape = ((x, 0.0), (x + 0.25, 0.0), (x + 0.25, high), (x, high))
        canvas.face(label, TYRE, z, shape)


def _lamps(
    canvas: Canvas,
    label: int,
    city: City,
    item: Item,
    xs: Point,
    y: float,
    z: float,
) -> None:
    """Draw red lights on a rear, white ones on a front; they glow in the dark."""
    rgb = (196, 26, 28) if item.ahead else (244, 240, 216)
    texture = t.GLOW if city.night > 0.3 else t.FLAT
    for x in (xs[0] + 0.05, xs[1] - 0.37):
        shape = ((x, y), (x + 0.32, y), (x + 0.32, y + 0.17), (x, y + 0.17))
        canvas.face(label, rgb, z, shape, texture)


def car(canvas: Canvas, city: City, item: Item, rng: np.random.Generator) -> None:
    """Draw a saloon, a hatchback or a van seen from behind or in front."""
    kind = int(rng.choice(3, p=(0.45, 0.4, 0.15)))
    length, height = ((4.6, 1.45), (4.0, 1.52), (4.9, 1.95))[kind]
    rgb = _tone(PAINTS[int(rng.integers(len(PAINTS)))], float(rng.uniform(0.85, 1.15)))
    half = 0.9
    xs, zs = (item.x - half, item.x + half), (item.z, item.z + length)
    if not canvas.visible(zs[0]):
        return
    canvas.start()
    _shadow(canvas, xs, zs)
    _car_side(canvas, item, kind, rgb, xs, (length, height))
    _wheels(canvas, c.CAR, xs, (zs[0] + 0.75, zs[1] - 0.8), 0.33)
    _car_top(canvas, rgb, xs, zs, height)
    _rear_wheels(canvas, c.CAR, xs, zs[0] + 0.05, 0.34)
    _car_end(canvas, city, item, rgb, xs, height)


def _car_side(
    canvas: Canvas, item: Item, kind: int, rgb: Colour, xs: Point, size: Point
) -> None:
    """Draw body and windows of the side we see."""
    length, height = size
    near, far = ((0.16, 0.74), (0.05, 0.7), (0.02, 0.86))[kind]
    if not item.ahead:
        near, far = 1 - far, 1 - near
    z, belt = item.z, 0.92
    slope = 0.1 * length

    def at(share: float) -> float:
        return z + share * length

    body = [(at(0.0), 0.26), (at(1.0), 0.26), (at(1.0), 0.72), (at(0.97), belt)]
    body += [(at(far), belt + 0.04), (at(far) - slope, height)]
    body += [(at(near) + slope * 0.6, height), (at(near), belt), (at(0.0), belt)]
    panes = [(at(near) + 0.2, belt), (at(far) - 0.2, belt)]
    panes += [
        (at(far) - slope - 0.1, height - 0.1),
        (at(near) + slope * 0.7, height - 0.1),
    ]
    for x, seen in ((xs[0], xs[0] > canvas.camera.x), (xs[1], xs[1] < canvas.camera.x)):
        if seen:
            canvas.side(c.CAR, rgb, x, body, t.PAINT)
            canvas.side(c.CAR, GLASS, x, panes, t.GLASS)
            middle = (at(near) + at(far)) / 2
            bar = [(middle, belt), (middle + 0.1, belt)]
            bar += [(middle + 0.1, height - 0.1), (middle, height - 0.1)]
            canvas.side(c.CAR, _tone(rgb, 0.8), x, bar)


def _car_top(canvas: Canvas, rgb: Colour, xs: Point, zs: Point, height: float) -> None:
    """Draw the roof where the camera looks down on it."""
    if canvas.camera.eye <= height + 0.02:
        return
    depth, z0, z1 = zs[0] - canvas.camera.z, zs[0] + 0.7, zs[1] - 1.6
    number = canvas.surface(c.CAR, ACROSS, depth, t.PAINT, _tone(rgb, 1.15))
    corners = ((xs[0] + 0.16, z0), (xs[1] - 0.16, z0), (xs[1] - 0.16, z1))
    corners += ((xs[0] + 0.16, z1),)
    canvas.polygon(number, [canvas.project(x, height, z) for x, z in corners])


def _car_end(
    canvas: Canvas, city: City, item: Item, rgb: Colour, xs: Point, height: float
) -> None:
    """Draw the rear or the front: cabin, window, body, lights, plate."""
    x0, x1, z = *xs, item.z
    cabin = z + (0.35 if item.ahead else 1.1)
    inset = 0.2
    shape = ((x0 + 0.04, 0.9), (x1 - 0.04, 0.9))
    shape += ((x1 - inset, height), (x0 + inset, height))
    canvas.face(c.CAR, _tone(rgb, 0.92), cabin, shape, t.PAINT)
    pane = ((x0 + 0.15, 0.94), (x1 - 0.15, 0.94))
    pane += ((x1 - inset - 0.08, height - 0.12), (x0 + inset + 0.08, height - 0.12))
    canvas.face(c.CAR, GLASS, cabin, pane, t.GLASS)
    if not item.ahead:
        number = canvas.surface(
            c.CAR, ACROSS, z - canvas.camera.z, t.PAINT, _tone(rgb, 1.1)
        )
        hood = ((x0, 0.8, z), (x1, 0.8, z), (x1 - 0.06, 0.94, cabin))
        hood += ((x0 + 0.06, 0.94, cabin),)
        canvas.polygon(number, [canvas.project(*p) for p in hood])
    top = 0.96 if item.ahead else 0.82
    body = ((x0 + 0.04, 0.24), (x1 - 0.04, 0.24), (x1, 0.5), (x1 - 0.03, top))
    canvas.face(c.CAR, rgb, z, (*body, (x0 + 0.03, top), (x0, 0.5)), t.PAINT)
    sill = ((x0 + 0.04, 0.24), (x1 - 0.04, 0.24), (x1 - 0.02, 0.42), (x0 + 0.02, 0.42))
    canvas.face(c.CAR, _tone(rgb, 0.55), z, sill)
    _lamps(canvas, c.CAR, city, item, xs, 0.62, z)
    if canvas.scale(z) > 10.0:
        middle = (x0 + x1) / 2
        plate = ((middle - 0.26, 0.47), (middle + 0.26, 0.47))
        plate += ((middle + 0.26, 0.59), (middle - 0.26, 0.59))
        canvas.face(c.CAR, (222, 222, 206), z, plate)


def truck(canvas: Canvas, city: City, item: Item, rng: np.random.Generator) -> None:
    """Draw a lorry: a cargo box and a cab at its far or near end."""
    length, top = float(rng.uniform(6.0, 9.5)), float(rng.uniform(2.9, 3.7))
    cargo = ((214, 212, 204), (190, 168, 60), (66, 96, 132), (150, 62, 48))
    cargo += ((120, 124, 120), (86, 116, 88))
    rgb = _tone(cargo[int(rng.integers(len(cargo)))], float(rng.uniform(0.85, 1.1)))
    cab = _tone(PAINTS[int(rng.integers(3, len(PAINTS)))], 1.1)
    xs, z = (item.x - 1.2, item.x + 1.2), item.z
    if not canvas.visible(z):
        return
    canvas.start()
    _shadow(canvas, xs, (z, z + length))
    cab_at, box_at = (z + length - 1.9, z) if item.ahead else (z, z + 2.0)
    parts = [(cab, (0.5, 2.6), (cab_at, cab_at + 1.9))]
    parts.append((rgb, (0.95, top), (box_at, box_at + length - 2.1)))
    for colour, ys, zs in parts if item.ahead else parts[::-1]:
        canvas.box(c.TRUCK, colour, xs, ys, zs, t.PAINT)
    beam = (xs[0] + 0.2, xs[1] - 0.2), (0.55, 0.95), (z + 0.1, z + length - 0.4)
    canvas.box(c.TRUCK, (52, 52, 54), *beam)
    _wheels(canvas, c.TRUCK, xs, (z + 1.1, z + 2.2, z + length - 1.2), 0.48)
    _rear_wheels(canvas, c.TRUCK, xs, z + 0.02, 0.7)
    if item.ahead:
        seam = ((item.x - 0.03, 1.0), (item.x + 0.03, 1.0))
        seam += ((item.x + 0.03, top - 0.08), (item.x - 0.03, top - 0.08))
        canvas.face(c.TRUCK, _tone(rgb, 0.6), z, seam)
    else:
        pane = ((xs[0] + 0.15, 1.5), (xs[1] - 0.15, 1.5))
        pane += ((xs[1] - 0.2, 2.35), (xs[0] + 0.2, 2.35))
        canvas.face(c.TRUCK, GLASS, z, pane, t.GLASS)
    _lamps(canvas, c.TRUCK, city, item, xs, 0.72, z)


def bus(canvas: Canvas, city: City, item: Item, rng: np.random.Generator) -> None:
    """Draw a town bus with a band of windows."""
    colours = ((186, 44, 42), (226, 186, 58), (44, 98, 152), (66, 128, 92))
    rgb = _tone(colours[int(rng.integers(len(colours)))], float(rng.uniform(0.9, 1.1)))
    xs, zs = (item.x - 1.27, item.x + 1.27), (item.z, item.z + 11.0)
    if not canvas.visible(zs[0]):
        return
    canvas.start()
    _shadow(canvas, xs, zs)
    canvas.box(c.BUS, rgb, xs, (0.35, 3.05), zs, t.PAINT)
    for x, seen in ((xs[0], xs[0] > canvas.camera.x), (xs[1], xs[1] < canvas.camera.x)):
        if seen:
            for i in range(6):
                a = zs[0] + 0.4 + 1.75 * i
                pane = [(a, 1.25), (a + 1.5, 1.25), (a + 1.5, 2.45), (a, 2.45)]
                canvas.side(c.BUS, GLASS, x, pane, t.GLASS)
    _wheels(canvas, c.BUS, xs, (zs[0] + 2.4, zs[1] - 2.6), 0.48)
    low = 1.5 if item.ahead else 1.15
    pane = ((xs[0] + 0.14, low), (xs[1] - 0.14, low))
    pane += ((xs[1] - 0.14, 2.5), (xs[0] + 0.14, 2.5))
    canvas.face(c.BUS, GLASS, zs[0], pane, t.GLASS)
    board = ((xs[0] + 0.5, 2.62), (xs[1] - 0.5, 2.62))
    board += ((xs[1] - 0.5, 2.92), (xs[0] + 0.5, 2.92))
    canvas.face(c.BUS, (30, 30, 32), zs[0], board)
    _rear_wheels(canvas, c.BUS, xs, zs[0] + 0.02, 0.4)
    _lamps(canvas, c.BUS, city, item, xs, 0.7, zs[0])


MAKERS = {"car": car, "truck": truck, "bus": bus}

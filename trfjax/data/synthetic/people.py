"""People on foot, people on bicycles, and bicycles alone."""

from __future__ import annotations

import numpy as np

from trfjax.data.synthetic import classes as c
from trfjax.data.synthetic import texture as t
from trfjax.data.synthetic.canvas import Canvas, Colour, Point, ring
from trfjax.data.synthetic.cities import City
from trfjax.data.synthetic.layout import Item

CLOTHES = (
    (40, 44, 56),
    (120, 40, 44),
    (60, 84, 120),
    (196, 190, 176),
    (74, 76, 70),
    (168, 128, 60),
    (104, 112, 120),
    (58, 96, 84),
    (150, 96, 124),
)
SKIN = ((226, 184, 156), (198, 150, 118), (148, 104, 78), (98, 68, 52))
HAIR = ((42, 32, 28), (92, 66, 44), (176, 146, 96), (128, 126, 124))


def _pick(colours: tuple[Colour, ...], rng: np.random.Generator) -> Colour:
    return colours[int(rng.integers(len(colours)))]


def _head(
    canvas: Canvas,
    label: int,
    spot: tuple[float, float, float],
    item: Item,
    rng: np.random.Generator,
) -> None:
    """Draw a head: face towards us or hair away from us."""
    x, y, z = spot
    skin, hair = _pick(SKIN, rng), _pick(HAIR, rng)
    canvas.disc(label, hair, (x, y + 0.03, z), (0.125, 0.15))
    if not item.ahead:
        canvas.disc(label, skin, (x, y - 0.02, z), (0.105, 0.125))


def _limb(
    canvas: Canvas, label: int, rgb: Colour, a: Point, b: Point, z: float, wide: float
) -> None:
    """Draw a straight limb from a to b."""
    half = max(wide / 2, 0.6 / canvas.scale(z))
    shape = ((a[0] - half, a[1]), (a[0] + half, a[1]), (b[0] + half * 0.8, b[1]))
    canvas.face(label, rgb, z, (*shape, (b[0] - half * 0.8, b[1])))


def person(canvas: Canvas, city: City, item: Item, rng: np.random.Generator) -> None:
    """Draw somebody standing or walking."""
    x, z, k = item.x, item.z, float(rng.uniform(0.9, 1.08))
    top, bottom = _pick(CLOTHES, rng), tuple(v * 0.62 for v in _pick(CLOTHES, rng))
    step = float(rng.uniform(0.03, 0.22))
    canvas.start()
    below = (c.ROAD, t.SHADE, city.road)
    if not item.crossing:
        below = (c.SIDEWALK, t.SHADE, city.walk)
    canvas.ground(*below, (x - 0.32, x + 0.32), (z - 0.15, z + 0.25))
    for side in (-1, 1):
        hip, foot = (x + 0.09 * side, 0.86 * k), (x + (0.09 + step) * side, 0.0)
        _limb(canvas, c.PERSON, bottom, hip, foot, z, 0.18)
    torso = ((x - 0.19, 0.8 * k), (x + 0.19, 0.8 * k), (x + 0.25, 1.42 * k))
    torso += ((x + 0.1, 1.52 * k), (x - 0.1, 1.52 * k), (x - 0.25, 1.42 * k))
    for side in (-1, 1):
        hand = (x + (0.28 + step * 0.4) * side, 0.82 * k)
        arm = tuple(v * 0.85 for v in top)
        _limb(canvas, c.PERSON, arm, (x + 0.24 * side, 1.4 * k), hand, z, 0.12)
    canvas.face(c.PERSON, top, z, torso, t.PLASTER)
    _head(canvas, c.PERSON, (x, 1.64 * k, z), item, rng)


def _wheel(canvas: Canvas, x: float, z: float) -> None:
    """Draw a bicycle wheel seen from the side: tyre, then what shows through."""
    canvas.disc(c.BICYCLE, (30, 30, 32), (x, 0.34, z), (0.34, 0.34))
    if canvas.scale(z) > 16.0:
        canvas.disc(c.BICYCLE, (110, 108, 106), (x, 0.34, z), (0.26, 0.26))
        canvas.disc(c.BICYCLE, (50, 50, 52), (x, 0.34, z), (0.06, 0.06))


def _frame(canvas: Canvas, x: float, z: float, rgb: Colour) -> None:
    """Draw wheels, frame, saddle and handlebar of a bicycle seen from the side."""
    for offset in (-0.52, 0.52):
        _wheel(canvas, x + offset, z)
    bars = (
        ((x - 0.52, 0.34), (x - 0.18, 0.84)),
        ((x - 0.18, 0.84), (x + 0.02, 0.34)),
        ((x + 0.02, 0.34), (x + 0.36, 0.8)),
        ((x - 0.18, 0.78), (x + 0.36, 0.8)),
        ((x + 0.52, 0.34), (x + 0.34, 1.0)),
    )
    half = max(0.04, 0.55 / canvas.scale(z))
    for (a, b), (d, e) in bars:
        shape = ((a - half, b - half), (a + half, b + half), (d + half, e + half))
        canvas.face(c.BICYCLE, rgb, z, (*shape, (d - half, e - half)))
    saddle = ((x - 0.3, 0.9), (x - 0.06, 0.9), (x - 0.06, 0.98), (x - 0.3, 0.98))
    canvas.face(c.BICYCLE, (36, 34, 34), z, saddle)


def bicycle(canvas: Canvas, city: City, item: Item, rng: np.random.Generator) -> None:
    """Draw a few bicycles that lean on a wall or a stand."""
    for i in range(int(rng.integers(1, 4)), 0, -1):
        canvas.start()
        rgb = _pick(CLOTHES, rng)
        _frame(canvas, item.x + 0.1 * i, item.z + 0.55 * i, rgb)


def rider(canvas: Canvas, city: City, item: Item, rng: np.random.Generator) -> None:
    """Draw a cyclist along the street, or turning across it."""
    x, z = item.x, item.z
    top, bottom = _pick(CLOTHES, rng), tuple(v * 0.62 for v in _pick(CLOTHES, rng))
    canvas.start()
    shade = (x - 0.4, x + 0.4), (z - 0.2, z + 0.3)
    canvas.ground(c.ROAD, t.SHADE, city.road, *shade)
    if rng.random() < 0.35:
        _frame(canvas, x, z, _pick(CLOTHES, rng))
        _limb(canvas, c.RIDER, bottom, (x - 0.16, 1.0), (x + 0.08, 0.32), z, 0.2)
        lean = ((x - 0.28, 0.92), (x - 0.02, 0.95), (x + 0.26, 1.44))
        canvas.face(c.RIDER, top, z, (*lean, (x + 0.02, 1.5)), t.PLASTER)
        _limb(canvas, c.RIDER, top, (x + 0.16, 1.38), (x + 0.38, 1.02), z, 0.12)
        _head(canvas, c.RIDER, (x + 0.2, 1.64, z), item, rng)
        return
    half = max(0.05, 0.9 / canvas.scale(z))
    tyre = ring((x, 0.34), 0.34, 10, squeeze=half / 0.34)
    canvas.face(c.BICYCLE, (30, 30, 32), z, tyre)
    bar = ((x - 0.3, 0.98), (x + 0.3, 0.98), (x + 0.3, 1.05), (x - 0.3, 1.05))
    canvas.face(c.BICYCLE, (44, 44, 46), z, bar)
    for side in (-1, 1):
        hip, foot = (x + 0.12 * side, 1.0), (x + 0.15 * side, 0.24 + 0.16 * (side > 0))
        _limb(canvas, c.RIDER, bottom, hip, foot, z, 0.17)
        hand = (x + 0.3 * side, 1.02)
        _limb(canvas, c.RIDER, top, (x + 0.22 * side, 1.45), hand, z, 0.12)
    torso = ((x - 0.19, 0.92), (x + 0.19, 0.92), (x + 0.24, 1.46), (x - 0.24, 1.46))
    canvas.face(c.RIDER, top, z, torso, t.PLASTER)
    _head(canvas, c.RIDER, (x, 1.66, z), item, rng)


MAKERS = {"person": person, "rider": rider, "bicycle": bicycle}

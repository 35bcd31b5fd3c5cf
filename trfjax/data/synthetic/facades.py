"""Parts of buildings: colours, windows, fronts, roofs, and what closes a street."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trfjax.data.synthetic import classes as c
from trfjax.data.synthetic import texture as t
from trfjax.data.synthetic.canvas import ACROSS, Canvas, Colour, Point
from trfjax.data.synthetic.cities import RGB, City
from trfjax.data.synthetic.layout import Street


def jitter(rgb: RGB, amount: float, rng: np.random.Generator) -> tuple[float, ...]:
    """Vary a colour: mostly its brightness, a little its hue."""
    shift = rng.uniform(-amount, amount) + rng.uniform(-0.3, 0.3, 3) * amount
    return tuple(float(v) for v in np.clip(np.array(rgb) + shift, 5, 250))


def pick(colours: Sequence[RGB], rng: np.random.Generator) -> RGB:
    """Draw one of the colours."""
    return colours[int(rng.integers(len(colours)))]


def height_of(city: City, rng: np.random.Generator) -> float:
    """Draw the height of a building."""
    storeys = int(rng.integers(city.floors[0], city.floors[1] + 1))
    return storeys * float(rng.uniform(2.9, 3.3)) + 0.7


def window_pattern(
    city: City, origin: float, height: float, rng: np.random.Generator
) -> tuple[float, ...]:
    """Draw the window pattern of one building."""
    pitch, glass, pane = city.window
    storeys = max(round((height - 0.7) / 3.1), 1)
    return (
        origin,
        height,
        pitch * float(rng.uniform(0.85, 1.2)),
        (height - 0.7) / storeys,
        min(glass * float(rng.uniform(0.85, 1.2)), 0.92),
        pane * float(rng.uniform(0.9, 1.15)),
        float(rng.integers(1000)),
        float(rng.random() < city.shops),
    )


def facing(
    canvas: Canvas,
    city: City,
    xs: Point,
    z: float,
    height: float,
    rng: np.random.Generator,
) -> None:
    """Draw a building that faces us, flat or gabled."""
    rgb = jitter(pick(city.facades, rng), 14.0, rng)
    (x0, x1), pattern = xs, window_pattern(city, xs[0], height, rng)
    roof = jitter(pick(city.roofs, rng), 8.0, rng)
    peak = height + rng.uniform(1.5, 3.5)
    top = ((x0, height), (x1, height), (x1 - 1.5, peak), (x0 + 1.5, peak))
    canvas.face(c.BUILDING, roof, z + 1.0, top, t.ROOF)
    wall = ((x0, 0.0), (x1, 0.0), (x1, height), (x0, height))
    canvas.face(c.BUILDING, rgb, z, wall, t.FACADE, pattern)


def slope(
    canvas: Canvas,
    rgb: Colour,
    x: float,
    run: float,
    zs: Point,
    height: float,
    rise: float,
) -> None:
    """Draw the slope of a roof that rises away from the street."""
    depth = max(zs[0] - canvas.camera.z, 2.0)
    number = canvas.surface(c.BUILDING, ACROSS, depth, t.ROOF, rgb)
    low, high = x - 0.06 * run, height + rise
    corners = (
        (low, height - 0.1, zs[0]),
        (low, height - 0.1, zs[1]),
        (x + run, high, zs[1]),
        (x + run, high, zs[0]),
    )
    if canvas.visible(zs[1]):
        canvas.polygon(number, [canvas.project(*p) for p in corners])


def close(canvas: Canvas, city: City, street: Street, seed: int) -> None:
    """Draw the facades that end a closed street."""
    rng = np.random.default_rng(seed)
    x = -40.0
    while x < 40.0:
        width = rng.uniform(9.0, 16.0)
        canvas.start()
        facing(canvas, city, (x, x + width), street.end, height_of(city, rng), rng)
        x += width
    canvas.start()
    kerb = (street.end - 2.0, street.end)
    canvas.ground(c.SIDEWALK, t.SLABS, city.walk, (-40.0, 40.0), kerb)

"""Trees, hedges, and the land at the horizon."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from trfjax.data.synthetic import classes as c
from trfjax.data.synthetic import texture as t
from trfjax.data.synthetic.canvas import ACROSS, SKYWARD, Canvas, Colour, Point
from trfjax.data.synthetic.cities import City

BARK = (86, 70, 58)
Spot = tuple[float, float, float]


def tree(
    canvas: Canvas,
    city: City,
    x: float,
    z: float,
    rng: np.random.Generator,
    size: float = 1.0,
) -> None:
    """Draw a tree of the city's kind."""
    canvas.start()
    size *= float(rng.uniform(0.8, 1.2))
    leaf = np.array(city.leaves[int(rng.integers(len(city.leaves)))], float)
    leaf = np.clip(leaf + rng.uniform(-10, 10, 3), 8, 250)
    crown = {
        "round": _round,
        "tall": _tall,
        "conifer": _conifer,
        "palm": _palm,
    }[city.tree]
    crown(canvas, (x, size, z), leaf, city.sun[0], rng)


def _trunk(canvas: Canvas, spot: Spot, width: float, height: float) -> None:
    x, _, z = spot
    half = max(width / 2, 0.8 / canvas.scale(z))
    shape = ((x - half, 0.0), (x + half, 0.0), (x + half * 0.7, height))
    canvas.face(c.VEGETATION, BARK, z, (*shape, (x - half * 0.7, height)), t.BARK)


def _clumps(
    canvas: Canvas,
    centres: Sequence[Spot],
    leaf: np.ndarray,
    z: float,
    light: float,
) -> None:
    """Draw leaf clumps (x, y, radius): dark below, then lighter towards the sun."""
    near = canvas.scale(z) > 6.0
    if canvas.scale(z) < 4.0:
        centres = centres[:3]
    for shade, shift, shrink in ((0.72, 0.0, 1.0), (1.0, 0.22, 0.72), (1.22, 0.4, 0.4)):
        if shift and not near and shade > 1.1:
            continue
        rgb = tuple(float(v) for v in np.clip(leaf * shade, 0, 255))
        for x, y, radius in centres:
            spot = (x + light * shift * radius, y + shift * radius, z)
            r = radius * shrink
            canvas.disc(c.VEGETATION, rgb, spot, (r, r * 0.9), t.LEAVES)


def _round(
    canvas: Canvas, spot: Spot, leaf: np.ndarray, sun: float, rng: np.random.Generator
) -> None:
    x, size, z = spot
    _trunk(canvas, spot, 0.34 * size, 3.4 * size)
    turns = rng.uniform(0, 2 * math.pi, 6)
    reach = rng.uniform(0.5, 1.3, 6) * size
    centres = [
        (
            x + float(r * np.cos(a)) * 1.1,
            5.0 * size + float(r * np.sin(a)),
            float(rng.uniform(0.9, 1.4)) * size,
        )
        for a, r in zip(turns, reach, strict=True)
    ]
    _clumps(canvas, [(x, 5.0 * size, 1.7 * size), *centres], leaf, z, sun)


def _tall(
    canvas: Canvas, spot: Spot, leaf: np.ndarray, sun: float, rng: np.random.Generator
) -> None:
    x, size, z = spot
    _trunk(canvas, spot, 0.3 * size, 3.0 * size)
    centres = [
        (
            x + float(rng.uniform(-0.45, 0.45)) * size,
            y * size,
            float(rng.uniform(1.1, 1.4)) * size * (1.1 - abs(y - 5.4) / 7.0),
        )
        for y in (3.0, 3.8, 4.6, 5.4, 6.2, 7.0, 7.8, 8.5)
    ]
    _clumps(canvas, centres, leaf, z, sun)


def _conifer(
    canvas: Canvas, spot: Spot, leaf: np.ndarray, sun: float, rng: np.random.Generator
) -> None:
    x, size, z = spot
    _trunk(canvas, spot, 0.3 * size, 1.6 * size)
    for i in range(5):
        low, wide = (1.0 + 1.35 * i) * size, (2.1 - 0.38 * i) * size
        top = low + 2.1 * size
        for part, shade in ((1.0, 0.8), (0.5, 1.1)):
            rgb = tuple(float(v) for v in np.clip(leaf * shade, 0, 255))
            left, right = x - wide * (part if sun > 0 else 1), x + wide * part
            shape = ((left, low), (right, low), (x, top))
            canvas.face(c.VEGETATION, rgb, z, shape, t.LEAVES)


def _palm(
    canvas: Canvas, spot: Spot, leaf: np.ndarray, sun: float, rng: np.random.Generator
) -> None:
    x, size, z = spot
    height = 6.2 * size
    _trunk(canvas, spot, 0.34 * size, height)
    for i, angle in enumerate(np.linspace(-0.5, math.pi + 0.5, 9)):
        reach = float(rng.uniform(1.8, 2.5)) * size
        dx, dy = reach * math.cos(angle), reach * math.sin(angle) * 0.6
        rgb = tuple(float(v) for v in np.clip(leaf * (0.8 + 0.07 * (i % 5)), 0, 255))
        shape = (
            (x, height - 0.15),
            (x + dx * 0.35, height + dy * 0.7 + 0.4),
            (x + dx * 0.75, height + dy * 0.75 + 0.3),
            (x + dx * 1.1, height + dy * 0.5 - 0.75),
            (x + dx * 0.7, height + dy * 0.55 - 0.15),
            (x + dx * 0.3, height + dy * 0.5 - 0.05),
        )
        canvas.face(c.VEGETATION, rgb, z, shape, t.LEAVES)


def hedge(canvas: Canvas, city: City, x: float, zs: Point, height: float) -> None:
    """Draw a clipped hedge along the street, or a belt of shrubs when high."""
    leaf = tuple(v * 0.9 for v in city.leaves[0])
    corners = [(zs[0], 0.0), (zs[1], 0.0), (zs[1], height), (zs[0], height)]
    inner = x + (0.8 if x > 0 else -0.8)
    front = ((x, 0.0), (inner, 0.0), (inner, height), (x, height))
    canvas.face(c.VEGETATION, leaf, zs[0], front, t.LEAVES)
    canvas.side(c.VEGETATION, leaf, x, corners, t.LEAVES)


def backdrop(canvas: Canvas, city: City, rng: np.random.Generator) -> None:
    """Draw the sky, hills, far roofs and a belt of trees at the horizon."""
    width, height = canvas.image.size
    sky = canvas.surface(c.SKY, SKYWARD, 0.0, t.SKY, city.sky[1])
    bottom = canvas.camera.row + 2.0
    canvas.polygon(sky, ((0, 0), (width, 0), (width, height), (0, height)))
    for step in range(3 if city.hills > 0.5 else 1 if city.hills else 0):
        canvas.start()
        fade = 0.62 - 0.2 * step
        leaf = np.array(city.leaves[step % len(city.leaves)], float)
        rgb = leaf * (1 - fade) + np.array(city.sky[1]) * fade
        rise = city.hills * height * (0.11 - 0.025 * step)
        _ridge(canvas, tuple(float(v) for v in rgb), bottom, rise, rng)
    if city.skyline is not None:
        canvas.start()
        _roofs(canvas, city.skyline, bottom, rng)
    canvas.start()
    leaf = 0.6 * np.array(city.leaves[0]) + 0.4 * np.array(city.sky[1])
    _ridge(canvas, tuple(float(v) for v in leaf), bottom, height * 0.022, rng)


def _ridge(
    canvas: Canvas,
    rgb: Colour,
    bottom: float,
    rise: float,
    rng: np.random.Generator,
) -> None:
    """Draw an uneven ridge of the given mean height in pixels."""
    width = canvas.image.size[0]
    number = canvas.surface(c.VEGETATION, ACROSS, 190.0, t.FAR_LEAVES, rgb)
    xs = np.linspace(0, width, 25)
    waves = sum(
        np.sin(xs / width * k * 2 * np.pi + rng.uniform(0, 6.28)) / k for k in (1, 2, 4)
    )
    tops = bottom - rise * (1.2 + 0.45 * waves + 0.12 * rng.random(25))
    points = [(float(x), float(y)) for x, y in zip(xs, tops, strict=True)]
    canvas.polygon(number, [(0.0, bottom), *points, (float(width), bottom)])


def _roofs(
    canvas: Canvas, rgb: Colour, bottom: float, rng: np.random.Generator
) -> None:
    """Draw far blocks against the sky."""
    width, height = canvas.image.size
    x = 0.0
    while x < width:
        step = float(rng.uniform(0.03, 0.08)) * width
        top = bottom - height * float(rng.uniform(0.03, 0.2))
        tone = float(rng.uniform(0.88, 1.12))
        number = canvas.surface(
            c.BUILDING, ACROSS, 170.0, t.PLASTER, tuple(v * tone for v in rgb)
        )
        corners = ((x, bottom), (x + step, bottom), (x + step, top), (x, top))
        canvas.polygon(number, corners)
        x += step

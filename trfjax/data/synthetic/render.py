"""From surface numbers to colours: light, haze, weather, and the camera or the game."""

from __future__ import annotations

import numpy as np

from trfjax.data.synthetic import texture as t
from trfjax.data.synthetic.canvas import ACROSS, ALONG, LEVEL, SKYWARD, Camera
from trfjax.data.synthetic.cities import City
from trfjax.data.synthetic.layout import Street
from trfjax.data.synthetic.patterns import PATTERNS
from trfjax.data.synthetic.pixels import Pixels, sample, tiles, toward

Table = dict[str, np.ndarray]
_HEIGHTS = {"hall": 8.0, "wall": 2.8, "house": 5.0}
_BILLBOARDS = (t.LEAVES, t.BARK, t.FAR_LEAVES)


def shade(
    numbers: np.ndarray,
    table: Table,
    camera: Camera,
    city: City,
    street: Street,
    *,
    step: float = 1.0,
    game: bool = False,
) -> np.ndarray:
    """Colour every pixel by its surface, its place in the street and the light.

    Args:
        numbers: surface numbers, (h, w).
        table: columns of the surface table.
        camera: projection in canvas pixels.
        city: style.
        street: plan, for the shadows of the buildings.
        step: canvas pixels from one pixel of `numbers` to the next.
        game: saturated colours, no grain, no haze.

    Returns:
        Colours, (3, h, w) float32, about 0..255 and not yet clipped.
    """
    height, width = numbers.shape
    rows = (np.arange(height, dtype=np.float32) + 0.5) * step - camera.row
    columns = (np.arange(width, dtype=np.float32) + 0.5) * step - camera.column
    below = np.broadcast_to(rows[:, None], numbers.shape).ravel()
    right = np.broadcast_to(columns, numbers.shape).ravel()
    flat = numbers.ravel()
    depth = _depth(flat, table, camera, below, right)
    x = camera.x + right * depth / camera.focal
    y = camera.eye - below * depth / camera.focal
    z = camera.z + depth

    base = np.stack([table["red"], table["green"], table["blue"]], 1)
    if game:
        base = _saturated(base)
    light = _light(table, city)
    colour = np.take((base * light[:, None]).T.copy(), flat, axis=1)
    kinds = table["texture"].astype(np.uint8)[flat]
    order = np.argsort(kinds, kind="stable")
    edges = np.searchsorted(kinds[order], np.arange(t.GLOW + 2))
    for kind, pattern in PATTERNS.items():
        at = order[edges[kind] : edges[kind + 1]]
        if len(at):
            pixels = _pixels(at, flat, table, camera, depth, (x, y, z), city, game)
            colour[:, at] = pattern(np.take(colour, at, axis=1), pixels)
    _shadows(colour, flat, table, city, street, x, z)
    if not game:
        colour = toward(colour, city.sky[1], 1 - np.exp(-city.haze * depth))
    sky = order[edges[t.SKY] : edges[t.SKY + 1]]
    colour[:, sky] = _sky(right[sky], below[sky], camera, city, game)
    return colour.reshape(3, height, width)


def _depth(
    flat: np.ndarray,
    table: Table,
    camera: Camera,
    below: np.ndarray,
    right: np.ndarray,
) -> np.ndarray:
    """Return the distance ahead of every pixel's point, in metres."""
    plane = table["plane"].astype(np.uint8)[flat]
    depth = table["at"][flat]
    ground = camera.focal * camera.eye / np.maximum(below, 0.2)
    side = np.where(np.abs(right) < 0.3, np.float32(0.3), right)
    beside = np.abs(camera.focal * depth / side)
    depth = np.where(plane == LEVEL, ground, depth)
    depth = np.where(plane == ALONG, beside, depth)
    depth = np.where(plane == SKYWARD, np.float32(400.0), depth)
    return np.clip(depth, 0.5, 400.0).astype(np.float32)


def _pixels(
    at: np.ndarray,
    flat: np.ndarray,
    table: Table,
    camera: Camera,
    depth: np.ndarray,
    place: tuple[np.ndarray, np.ndarray, np.ndarray],
    city: City,
    game: bool,
) -> Pixels:
    """Gather what a pattern needs to know of the pixels `at`."""
    number, near = flat[at], depth[at]
    x, y, z = (a[at] for a in place)
    lengthwise = table["plane"][number] == ALONG
    size = camera.focal / near
    slant = np.minimum(np.abs(table["at"][number]) / near, 1.0)
    return Pixels(
        x=x,
        y=y,
        z=z,
        along=np.where(lengthwise, z, x) - table["origin"][number],
        size=size,
        grain=np.where(lengthwise, size * slant, size),
        table=table,
        number=number,
        city=city,
        tiles=tiles(game),
    )


def _light(table: Table, city: City) -> np.ndarray:
    """Return the brightness of every surface by where it faces."""
    right, up, ahead = np.array(city.sun) / np.linalg.norm(city.sun)
    plane = table["plane"]
    facing = np.where(plane == LEVEL, up, 0.0)
    facing = np.where(plane == ALONG, -np.sign(table["at"]) * right, facing)
    facing = np.where(plane == ACROSS, -ahead, facing)
    facing = np.where(np.isin(table["texture"], _BILLBOARDS), 0.55, facing)
    light = city.ambient + (1 - city.ambient) * 1.35 * np.clip(facing, 0, 1)
    glow = 1.15 / city.exposure if city.night > 0 else 1.0
    return np.where(table["texture"] == t.GLOW, glow, light).astype(np.float32)


def _shadows(
    colour: np.ndarray,
    flat: np.ndarray,
    table: Table,
    city: City,
    street: Street,
    x: np.ndarray,
    z: np.ndarray,
) -> None:
    """Darken the ground that the buildings of the sunny side keep from the sun."""
    colour[:, (table["texture"] == t.SHADE)[flat]] *= 0.62
    right, up, _ = city.sun
    if city.ambient > 0.7 or abs(right) < 0.2:
        return
    side = 1 if right > 0 else -1
    mean = 3.1 * sum(city.floors) / 2
    reach = np.zeros(220, np.float32)
    for lot in street.lots:
        if lot.side == side:
            span = slice(max(int(lot.start), 0), max(int(lot.end), 0))
            height = mean if lot.kind in ("row", "tower") else _HEIGHTS.get(lot.kind, 0)
            reach[span] = height * (0.85 + 0.3 * ((lot.seed % 97) / 97))
    level = (table["plane"] == LEVEL) & (table["texture"] != t.SHADE)
    at = np.flatnonzero(level[flat])
    shift = -city.sun[2] / up * 3.0
    edge = (
        street.line
        - abs(right) / up * reach[np.clip(z[at] - shift, 0, 219).astype(int)]
    )
    dark = (side * x[at] > edge) & (side * x[at] < street.line + 14.0)
    colour[:, at[dark]] *= np.array(((0.6,), (0.63,), (0.7,)), np.float32)


def _sky(
    right: np.ndarray, below: np.ndarray, camera: Camera, city: City, game: bool
) -> np.ndarray:
    """Colour the sky: a gradient, and clouds that flatten towards the horizon."""
    top, low = (np.array(rgb, np.float32) for rgb in city.sky)
    if game:
        top, low = _saturated(np.stack([top, low]))
    up = np.clip(-below / camera.row, 0.0, 1.0)
    share = np.sqrt(up) if not game else np.round(up * 5) / 5
    colour = toward(low[:, None], top, share)
    height = 1.0 / (up + 0.18)
    span = camera.focal
    a = 60 * height + 5 * camera.z
    b = right / span * height * 60 + 91 * camera.x
    cloud = sample(tiles().cloudy, a * 1.6, b)
    cloud += 0.35 * sample(tiles().leafy, a * 1.2, b)
    cover = np.clip((cloud + city.clouds - 0.45) * 1.8, 0, 1) * (
        0.35 + 0.65 * city.clouds
    )
    if game:
        cover = np.where(cover > 0.25, 0.8, 0.0)
    white = low * 0.35 + np.array((250, 250, 250), np.float32) * 0.65 * (1 - city.night)
    white = white + low * 0.75 * city.night
    return toward(colour, white, cover)


def _saturated(rgb: np.ndarray) -> np.ndarray:
    """Push colours away from grey and turn them a little, as a game would."""
    grey = rgb.mean(-1, keepdims=True)
    vivid = grey * 1.06 + (rgb - grey) * 2.1
    turned = vivid @ np.array(
        ((0.94, 0.0, 0.08), (0.06, 1.0, 0.0), (0.0, 0.02, 1.0)), np.float32
    )
    return np.clip(turned, 4, 252).astype(np.float32)

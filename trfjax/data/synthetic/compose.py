"""One view of a street: the camera takes its place and everything is drawn."""

from __future__ import annotations

import zlib

import numpy as np

from trfjax.data.synthetic import (
    buildings,
    facades,
    furniture,
    ground,
    people,
    plants,
    texture,
    traffic,
)
from trfjax.data.synthetic.canvas import ACROSS, Camera, Canvas
from trfjax.data.synthetic.cities import City
from trfjax.data.synthetic.layout import Item, Lot, Street, moving, plan
from trfjax.typing import IGNORE

FRAMES = 2  # consecutive images that show one street
_ADVANCE = 15.0  # metres between them
_MAKERS = furniture.MAKERS | traffic.MAKERS | people.MAKERS


def compose(
    city: City, index: int, size: tuple[int, int], seed: int
) -> tuple[Canvas, Street]:
    """Draw the surfaces of one view, `size` (h, w) in pixels of the canvas."""
    street_number, frame = divmod(index, FRAMES)
    root = [seed, zlib.crc32(city.name.encode()), street_number]
    fixed, moment = np.random.default_rng(root), np.random.default_rng([*root, frame])
    street = plan(city, fixed)
    canvas = Canvas(*size, _camera(city, street, frame, size, moment))
    plants.backdrop(canvas, city, fixed)
    ground.pave(canvas, city, street)
    items = [*street.items, *moving(city, street, canvas.camera.z, moment)]
    _draw(canvas, city, street, items, int(fixed.integers(1 << 30)))
    if city.bonnet:
        _bonnet(canvas)
    return canvas, street


def _camera(
    city: City,
    street: Street,
    frame: int,
    size: tuple[int, int],
    rng: np.random.Generator,
) -> Camera:
    height, width = size
    return Camera(
        x=street.lane(1) + float(rng.uniform(-0.4, 0.3)),
        eye=city.eye + float(rng.uniform(-0.1, 0.15)),
        z=frame * _ADVANCE + float(rng.uniform(0.0, 3.0)),
        focal=city.focal * max(width, 1.5 * height),
        column=width * (0.5 + float(rng.uniform(-0.12, 0.09))),
        row=height * (city.horizon + float(rng.uniform(-0.025, 0.025))),
    )


def _draw(
    canvas: Canvas, city: City, street: Street, items: list[Item], seed: int
) -> None:
    """Draw lots and items from far to near."""
    jobs: list[tuple[float, int, Lot | Item]] = [
        (lot.end, 0, lot) for lot in street.lots if lot.start < street.end
    ]
    # What stands nearer the middle of the street is never hidden by a lot beside it.
    jobs += [(item.z, 1, item) for item in items if _shown(canvas, item)]
    if street.end < 150.0:
        facades.close(canvas, city, street, seed)
        jobs = [job for job in jobs if job[0] < street.end + 20.0]
    for _, _, thing in sorted(jobs, key=lambda job: job[:2], reverse=True):
        if isinstance(thing, Lot):
            buildings.build(canvas, city, street, thing)
        else:
            _item(canvas, city, thing)


def _shown(canvas: Canvas, item: Item) -> bool:
    """Say whether an item is far enough ahead to be drawn whole."""
    gap = 3.2 if item.kind in traffic.MAKERS else 2.8
    return item.z - canvas.camera.z > gap


def _item(canvas: Canvas, city: City, item: Item) -> None:
    rng = np.random.default_rng(item.seed)
    canvas.start()
    if item.kind == "tree":
        plants.tree(canvas, city, item.x, item.z, rng)
    else:
        _MAKERS[item.kind](canvas, city, item, rng)


def _bonnet(canvas: Canvas) -> None:
    """Draw the front of our own car at the lower edge; it has no label."""
    width, height = canvas.image.size
    canvas.start()
    number = canvas.surface(IGNORE, ACROSS, 1.0, texture.FLAT, (46, 50, 58))
    xs = np.linspace(0.12, 0.88, 15)
    rise = 0.075 * np.sqrt(np.clip(1 - ((xs - 0.5) / 0.38) ** 2, 0, 1))
    points = [
        (float(x * width), float((1 - r) * height))
        for x, r in zip(xs, rise, strict=True)
    ]
    canvas.polygon(number, [(points[0][0], height), *points, (points[-1][0], height)])

"""The ground of a street: carriageway, pavements, verges, land."""

from __future__ import annotations

from trfjax.data.synthetic import classes as c
from trfjax.data.synthetic import texture as t
from trfjax.data.synthetic.canvas import Canvas, Point
from trfjax.data.synthetic.cities import City
from trfjax.data.synthetic.layout import FAR, Street


def pave(canvas: Canvas, city: City, street: Street) -> None:
    """Lay carriageway, pavements, verges, cross streets and the land beyond."""
    far, near = FAR + 60.0, -12.0
    land = (c.TERRAIN, t.GRASS, city.grass)
    if "row" in city.lots or "tower" in city.lots:
        land = (c.SIDEWALK, t.SLABS, city.walk)
    canvas.start()
    canvas.ground(*land, (-400.0, 400.0), (near, far))
    kerb, line = street.half, street.line
    for side in (-1, 1):
        canvas.start()
        canvas.ground(
            c.SIDEWALK, t.SLABS, city.walk, span(side, kerb, line), (near, far)
        )
        stone = tuple(min(v * 1.16, 245.0) for v in city.walk)
        canvas.ground(
            c.SIDEWALK, t.FLAT, stone, span(side, kerb, kerb + 0.16), (near, far)
        )
        if street.verge:
            inner = span(side, kerb + 0.15, kerb + street.verge)
            canvas.ground(c.TERRAIN, t.GRASS, city.grass, inner, (near, far))
    stone = t.COBBLES if city.cobbles else t.ASPHALT
    canvas.start()
    canvas.ground(c.ROAD, stone, city.road, (-kerb, kerb), (near, far), street.half)
    for lot in street.lots:
        if lot.kind == "gap":
            across = span(lot.side, kerb - 0.05, 90.0)
            lane = (lot.start + 1.2, lot.end - 1.2)
            canvas.ground(c.ROAD, t.PLAIN_ROAD, city.road, across, lane)


def span(side: int, inner: float, outer: float) -> Point:
    """Order the two distances from the middle as x grows."""
    return (inner, outer) if side > 0 else (-outer, -inner)

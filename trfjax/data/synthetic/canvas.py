"""A pinhole camera and the image of surface numbers it draws, back to front."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

Number = float | int
Point = tuple[Number, Number]
Colour = Sequence[Number]

# How the depth of a pixel follows from the surface it shows.
SKYWARD, LEVEL, ALONG, ACROSS = range(4)
NEAR = 0.9  # metres before the camera; nothing nearer is drawn

COLUMNS = (
    "label",
    "plane",  # SKYWARD, LEVEL (the ground), ALONG the street, ACROSS it
    "at",  # x of an ALONG plane, z of an ACROSS plane, both from the camera
    "texture",
    "red",
    "green",
    "blue",
    "origin",  # where the pattern starts, in metres along the surface
    "height",
    "pitch",
    "storey",
    "glass",  # width of a window, as a share of the pitch
    "pane",  # height of a window, as a share of the storey
    "seed",
    "shops",
    "thing",  # surfaces of one object share this number
)


@dataclasses.dataclass(frozen=True)
class Camera:
    """Position in metres (x right, y up, z ahead) and projection in pixels."""

    x: float
    eye: float
    z: float
    focal: float
    column: float  # of the vanishing point
    row: float


class Canvas:
    """An image of surface numbers and the table that describes the surfaces."""

    def __init__(self, height: int, width: int, camera: Camera) -> None:
        self.camera = camera
        self.image = Image.new("I", (width, height), 0)
        self._draw = ImageDraw.Draw(self.image)
        self._rows: list[tuple[float, ...]] = []
        self._thing = 0

    def table(self) -> dict[str, np.ndarray]:
        """Return the surfaces' columns, float32 of shape (surfaces,)."""
        stacked = np.asarray(self._rows, np.float32).T
        return dict(zip(COLUMNS, stacked, strict=True))

    def surfaces(self) -> np.ndarray:
        """Return the surface number of every pixel, (h, w) int32."""
        return np.asarray(self.image)

    def start(self) -> None:
        """Begin a new object: the surfaces that follow belong together."""
        self._thing += 1

    def surface(
        self,
        label: int,
        plane: int,
        at: Number,
        texture: int,
        rgb: Colour,
        pattern: Sequence[Number] = (0.0, 0.0, 1.0, 3.0, 0.0, 0.0, 0.0, 0.0),
    ) -> int:
        """Add a row to the table and return its number; `pattern` is origin..shops."""
        self._rows.append((label, plane, at, texture, *rgb, *pattern, self._thing))
        return len(self._rows) - 1

    def scale(self, z: Number) -> float:
        """Return pixels per metre at depth z."""
        return self.camera.focal / max(z - self.camera.z, NEAR)

    def visible(self, z: Number) -> bool:
        """Say whether a plane across the street at z lies before the camera."""
        return z - self.camera.z > NEAR

    def project(self, x: Number, y: Number, z: Number) -> Point:
        """Return the pixel of a point; nearer than NEAR counts as NEAR."""
        camera = self.camera
        scale = camera.focal / max(z - camera.z, NEAR)
        return (
            camera.column + (x - camera.x) * scale,
            camera.row + (camera.eye - y) * scale,
        )

    def polygon(self, number: int, points: Sequence[Point]) -> None:
        """Fill a polygon given in pixels."""
        self._draw.polygon(points, fill=number)

    def ground(
        self,
        label: int,
        texture: int,
        rgb: Colour,
        xs: Point,
        zs: Point,
        seed: float = 0.0,
    ) -> None:
        """Lay a rectangle on the ground."""
        if not self.visible(zs[1]):
            return
        pattern = (0.0, 0.0, 1.0, 3.0, 0.0, 0.0, seed, 0.0)
        number = self.surface(label, LEVEL, 0.0, texture, rgb, pattern)
        (x0, x1), (z0, z1) = xs, zs
        corners = ((x0, z0), (x1, z0), (x1, z1), (x0, z1))
        self.polygon(number, [self.project(x, 0.0, z) for x, z in corners])

    def along(self, number: int, x: Number, points: Sequence[Point]) -> None:
        """Fill a polygon of (z, y) points on the plane at x along the street."""
        self.polygon(number, [self.project(x, y, z) for z, y in points])

    def side(
        self,
        label: int,
        rgb: Colour,
        x: Number,
        points: Sequence[Point],
        texture: int = 0,
        pattern: Sequence[Number] | None = None,
    ) -> None:
        """Add a surface along the street at x: a polygon of (z, y) points."""
        offset = x - self.camera.x
        if abs(offset) < 0.05 or not self.visible(max(z for z, _ in points)):
            return
        extra = () if pattern is None else (pattern,)
        number = self.surface(label, ALONG, offset, texture, rgb, *extra)
        self.along(number, x, points)

    def face(
        self,
        label: int,
        rgb: Colour,
        z: Number,
        points: Sequence[Point],
        texture: int = 0,
        pattern: Sequence[Number] | None = None,
    ) -> None:
        """Add a surface across the street at z: a polygon of (x, y) points."""
        if not self.visible(z):
            return
        extra = () if pattern is None else (pattern,)
        depth = z - self.camera.z
        number = self.surface(label, ACROSS, depth, texture, rgb, *extra)
        camera, scale = self.camera, self.camera.focal / depth
        left, top = camera.column - camera.x * scale, camera.row + camera.eye * scale
        self.polygon(number, [(left + x * scale, top - y * scale) for x, y in points])

    def disc(
        self,
        label: int,
        rgb: Colour,
        centre: tuple[Number, Number, Number],
        radii: Point,
        texture: int = 0,
    ) -> None:
        """Add an upright ellipse that faces the camera."""
        x, y, z = centre
        if not self.visible(z):
            return
        number = self.surface(label, ACROSS, z - self.camera.z, texture, rgb)
        column, row = self.project(x, y, z)
        a, b = radii[0] * self.scale(z), radii[1] * self.scale(z)
        self._draw.ellipse((column - a, row - b, column + a, row + b), fill=number)

    def box(
        self,
        label: int,
        rgb: Colour,
        xs: Point,
        ys: Point,
        zs: Point,
        texture: int = 0,
    ) -> None:
        """Add the visible sides of an upright box."""
        (x0, x1), (y0, y1), (z0, z1) = xs, ys, zs
        if y1 < self.camera.eye and self.visible(z1):
            top = tuple(min(c * 1.12, 255.0) for c in rgb)
            depth = max(z0 - self.camera.z, NEAR)
            number = self.surface(label, ACROSS, depth, texture, top)
            corners = ((x0, z0), (x1, z0), (x1, z1), (x0, z1))
            self.polygon(number, [self.project(x, y1, z) for x, z in corners])
        for x, seen in ((x0, x0 > self.camera.x), (x1, x1 < self.camera.x)):
            if seen:
                self.side(
                    label, rgb, x, ((z0, y0), (z1, y0), (z1, y1), (z0, y1)), texture
                )
        self.face(label, rgb, z0, ((x0, y0), (x1, y0), (x1, y1), (x0, y1)), texture)


def ring(
    centre: Point, radius: float, count: int = 10, squeeze: float = 1.0
) -> list[Point]:
    """Return the corners of a regular polygon, its first axis squeezed."""
    return [
        (
            centre[0] + squeeze * radius * math.cos(2 * math.pi * i / count),
            centre[1] + radius * math.sin(2 * math.pi * i / count),
        )
        for i in range(count)
    ]

"""Procedural street scenes of invented cities: labelled data that needs no files.

Every scene is a small street in three dimensions, seen through a pinhole camera. The
cities differ as real ones do, in plan, buildings, plants, traffic, light and weather;
some are close relatives and some are far apart. The same street can be seen by a
"camera" or in a "game": the labels agree to the pixel, the looks do not.
"""

from __future__ import annotations

import functools
import operator
import zlib
from typing import Literal, get_args

import numpy as np

from trfjax.data.dataset import Dataset
from trfjax.data.synthetic.atlas import CITY_STYLES
from trfjax.data.synthetic.canvas import Camera
from trfjax.data.synthetic.cities import City
from trfjax.data.synthetic.classes import CLASS_NAMES, LABELS, ROAD, SIDEWALK
from trfjax.data.synthetic.compose import FRAMES, compose
from trfjax.data.synthetic.finish import animate, halve, mirror, photograph
from trfjax.data.synthetic.layout import Street
from trfjax.data.synthetic.render import Table, shade
from trfjax.typing import IGNORE

Style = Literal["camera", "game"]

VERSION = 1  # of the drawings; it grows when the same arguments give other bytes
CITIES: tuple[str, ...] = tuple(city.name for city in CITY_STYLES)
_STYLES: tuple[str, ...] = get_args(Style)
_CACHED = 128  # images a data set keeps


def scene(
    city: str,
    index: int,
    size: tuple[int, int] = (96, 192),
    style: Style = "camera",
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one street scene; the same arguments give the same bytes.

    Args:
        city: one of `CITIES`.
        index: which scene, at least 0; two consecutive scenes share a street.
        size: height and width in pixels, at least 32 each.
        style: "camera" for a photograph with noise, haze and texture; "game" for flat
            saturated colours with outlines. Both have the same label.
        seed: another seed is another set of streets, at least 0.

    Returns:
        The image, (h, w, 3) uint8 RGB, and the label, (h, w) int32: indices into
        `CLASS_NAMES`, or 255 where nothing is to be learned (our own car, litter
        bins, corners where several classes meet).

    Raises:
        ValueError: an unknown city or style, a negative index or seed, a small size.
    """
    chosen = _city(city)
    height, width = _checked_size(size)
    index, seed = _natural("index", index), _natural("seed", seed)
    if style not in _STYLES:
        raise ValueError(f"style: {style!r} is not one of {', '.join(_STYLES)}")
    canvas, street = compose(chosen, index, (2 * height, 2 * width), seed)
    numbers, table = canvas.surfaces(), canvas.table()
    label = _label(numbers, table)
    if style == "game":
        return _game(numbers, table, canvas.camera, chosen, street), label
    key = [seed, zlib.crc32(city.encode()), index, 77]
    rng = np.random.default_rng(key)
    return _camera(numbers, table, canvas.camera, chosen, street, rng), label


def synthetic_city(
    city: str,
    count: int = 60,
    *,
    size: tuple[int, int] = (96, 192),
    style: Style = "camera",
    seed: int = 0,
) -> Dataset:
    """Return `count` scenes of one city as a data set that draws them on reading.

    Args:
        city: one of `CITIES`.
        count: number of images, at least 1.
        size: height and width in pixels, at least 32 each.
        style: "camera" or "game".
        seed: another seed is another set of streets.

    Returns:
        A data set with `CLASS_NAMES`, the Cityscapes palette and ignore value 255.
        The two images of a street share a group, so `split` keeps them together.

    Raises:
        ValueError: an argument out of range; the message names it.
    """
    _city(city)
    size = _checked_size(size)
    count, seed = _natural("count", count), _natural("seed", seed)
    if count < 1:
        raise ValueError("count: 0 images asked; at least 1 is needed")
    if style not in _STYLES:
        raise ValueError(f"style: {style!r} is not one of {', '.join(_STYLES)}")

    @functools.lru_cache(maxsize=_CACHED)
    def drawn(position: int) -> tuple[np.ndarray, np.ndarray]:
        return scene(city, position, size, style, seed)

    def read(position: int) -> tuple[np.ndarray, np.ndarray]:
        image, label = drawn(position)
        return image.copy(), label.copy()

    prefix = f"{city}/{style}"
    return Dataset(
        name=f"synthetic:{city}" + (":game" if style == "game" else ""),
        labels=LABELS,
        image_ids=tuple(f"{prefix}/{i:06d}" for i in range(count)),
        read=read,
        groups=tuple(f"{city}/street{i // FRAMES:05d}" for i in range(count)),
        fingerprint=(
            f"synthetic-v{VERSION}:{city}:{style}:{count}:{size[0]}x{size[1]}:{seed}"
        ),
    )


def _city(name: str) -> City:
    for city in CITY_STYLES:
        if city.name == name:
            return city
    raise ValueError(f"city: unknown {name!r}; available: {', '.join(CITIES)}")


def _checked_size(size: tuple[int, int]) -> tuple[int, int]:
    height, width = (_natural("size", side) for side in size)
    if min(height, width) < 32:
        raise ValueError(f"size: {(height, width)} is too small; at least 32 each")
    return height, width


def _natural(name: str, value: int) -> int:
    value = operator.index(value)
    if value < 0:
        raise ValueError(f"{name}: {value} is negative")
    return value


def _label(numbers: np.ndarray, table: Table) -> np.ndarray:
    """Read labels off the surfaces; corners of three classes or more are ignored."""
    full = table["label"].astype(np.int32)[numbers]
    a, b, c, d = full[::2, ::2], full[::2, 1::2], full[1::2, ::2], full[1::2, 1::2]
    kinds = 1 + (b != a).astype(np.int8) + ((c != a) & (c != b))
    kinds += (d != a) & (d != b) & (d != c)
    return np.where(kinds > 2, np.int32(IGNORE), a)


def _camera(
    numbers: np.ndarray,
    table: Table,
    camera: Camera,
    city: City,
    street: Street,
    rng: np.random.Generator,
) -> np.ndarray:
    image = halve(shade(numbers, table, camera, city, street))
    if city.weather == "rain":
        ground = np.isin(table["label"], (ROAD, SIDEWALK))[numbers[::2, ::2]]
        mirror(image, ground, camera.row / 2)
    return photograph(image, city, rng)


def _game(
    numbers: np.ndarray, table: Table, camera: Camera, city: City, street: Street
) -> np.ndarray:
    numbers = np.ascontiguousarray(numbers[::2, ::2])
    image = shade(numbers, table, camera, city, street, step=2.0, game=True)
    far = (table["at"] > 60.0)[numbers]
    if city.night > 0:
        image *= np.float32((1 + city.exposure) / 2)
    return animate(image, table["thing"][numbers], far)


__all__ = ["CITIES", "CLASS_NAMES", "VERSION", "Style", "scene", "synthetic_city"]

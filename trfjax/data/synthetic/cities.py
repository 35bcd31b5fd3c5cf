"""The invented cities: what makes the streets of one unlike those of another."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

RGB = tuple[int, int, int]
Range = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class City:
    """The looks of a city: lengths in metres, densities per 100 m or per view."""

    name: str
    # Surfaces, RGB of 0..255.
    facades: tuple[RGB, ...]
    roofs: tuple[RGB, ...] = ((120, 74, 60), (96, 80, 76))
    road: RGB = (98, 98, 102)
    walk: RGB = (146, 142, 138)
    grass: RGB = (98, 122, 62)
    leaves: tuple[RGB, ...] = ((72, 100, 44), (58, 88, 40), (88, 112, 52))
    cobbles: bool = False
    # Light and weather.
    sky: tuple[RGB, RGB] = ((98, 150, 214), (206, 222, 236))  # zenith, horizon
    clouds: float = 0.4
    sun: tuple[float, float, float] = (0.35, 0.8, -0.5)  # right, up, ahead
    ambient: float = 0.55  # share of the light that casts no shadow
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    exposure: float = 1.0
    contrast: float = 1.0
    haze: float = 0.003  # per metre
    weather: Literal["clear", "rain", "snow"] = "clear"
    night: float = 0.0  # 0 day, 1 night
    # Camera.
    eye: float = 1.6
    horizon: float = 0.46  # row, as a share of the height
    focal: float = 0.72  # in image widths
    noise: float = 3.0
    bonnet: bool = False
    # Street plan.
    width: Range = (7.0, 9.0)  # carriageway
    pavement: Range = (2.0, 3.5)
    verge: bool = False  # a strip of grass between kerb and pavement
    lots: Mapping[str, float] = dataclasses.field(default_factory=lambda: {"row": 1.0})
    floors: tuple[int, int] = (3, 5)
    window: tuple[float, float, float] = (2.6, 0.42, 0.52)  # pitch, width, height
    shops: float = 0.5
    crossing: float = 0.4
    closed: float = 0.3  # chance that a building ends the view
    hills: float = 0.0
    skyline: RGB | None = None
    # What stands and moves there.
    parked: float = 5.0
    traffic: float = 3.0
    trucks: float = 0.15  # share of the traffic
    buses: float = 0.1
    people: float = 5.0
    riders: float = 0.5
    bicycles: float = 1.0
    poles: float = 3.0
    lights: float = 0.6
    signs: float = 2.0
    trees: float = 4.0
    tree: Literal["round", "tall", "conifer", "palm"] = "round"

"""The street classes: Cityscapes names, order and colours."""

from __future__ import annotations

from trfjax.data.labels import LabelMap
from trfjax.typing import IGNORE

_CLASSES: dict[str, tuple[int, int, int]] = {
    "road": (128, 64, 128),
    "sidewalk": (244, 35, 232),
    "building": (70, 70, 70),
    "wall": (102, 102, 156),
    "fence": (190, 153, 153),
    "pole": (153, 153, 153),
    "traffic light": (250, 170, 30),
    "traffic sign": (220, 220, 0),
    "vegetation": (107, 142, 35),
    "terrain": (152, 251, 152),
    "sky": (70, 130, 180),
    "person": (220, 20, 60),
    "rider": (255, 0, 0),
    "car": (0, 0, 142),
    "truck": (0, 0, 70),
    "bus": (0, 60, 100),
    "bicycle": (119, 11, 32),
}

CLASS_NAMES: tuple[str, ...] = tuple(_CLASSES)
LABELS = LabelMap(names=CLASS_NAMES, ignore=IGNORE, palette=tuple(_CLASSES.values()))

(
    ROAD,
    SIDEWALK,
    BUILDING,
    WALL,
    FENCE,
    POLE,
    TRAFFIC_LIGHT,
    TRAFFIC_SIGN,
    VEGETATION,
    TERRAIN,
    SKY,
    PERSON,
    RIDER,
    CAR,
    TRUCK,
    BUS,
    BICYCLE,
) = range(len(CLASS_NAMES))

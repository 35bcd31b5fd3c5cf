"""Where known data sets keep images and labels, and what their label ids mean."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

from trfjax.data.labels import LabelMap
from trfjax.typing import IGNORE

# Name and colour of every Cityscapes label id 0..33, with the train id where scored.
_CITYSCAPES = """
unlabeled - 0 0 0|ego vehicle - 20 20 20|rectification border - 30 30 30
out of roi - 40 40 40|static - 50 50 50|dynamic - 111 74 0|ground - 81 0 81
road 0 128 64 128|sidewalk 1 244 35 232|parking - 250 170 160
rail track - 230 150 140|building 2 70 70 70|wall 3 102 102 156
fence 4 190 153 153|guard rail - 180 165 180|bridge - 150 100 100
tunnel - 150 120 90|pole 5 153 153 153|polegroup - 163 163 163
traffic light 6 250 170 30|traffic sign 7 220 220 0|vegetation 8 107 142 35
terrain 9 152 251 152|sky 10 70 130 180|person 11 220 20 60|rider 12 255 0 0
car 13 0 0 142|truck 14 0 0 70|bus 15 0 60 100|caravan - 0 0 90
trailer - 0 0 110|train 16 0 80 100|motorcycle 17 0 0 230|bicycle 18 119 11 32
"""
_ROWS = [
    re.fullmatch(r"(.+) (-|\d+) (\d+) (\d+) (\d+)", row).groups()  # pyright: ignore[reportOptionalMemberAccess]
    for row in re.split(r"[|\n]", _CITYSCAPES.strip())
]
_SCORED = [row for row in _ROWS if row[1] != "-"]  # in train id order already


def _palette(rows: list[tuple[str, ...]]) -> tuple[tuple[int, int, int], ...]:
    return tuple((int(r), int(g), int(b)) for _, _, r, g, b in rows)


def _after(first: Mapping[int, int], then: LabelMap) -> LabelMap:
    """Return `then` for files whose ids become those of `then` through `first`."""
    known = then.ids or {i: i for i in range(len(then))}
    ids = {stored: known.get(i, IGNORE) for stored, i in first.items()}
    return dataclasses.replace(then, ids=ids)


TRAINIDS = LabelMap(tuple(row[0] for row in _SCORED), palette=_palette(_SCORED))
_COMMON = {0: 0, 1: 1, 2: 2, 8: 3, 10: 4, 13: 5}  # train id -> common6
COMMON6 = LabelMap(
    ("road", "pavement", "building", "vegetation", "sky", "car"),
    ids={i: _COMMON.get(i, IGNORE) for i in range(19)},
    palette=tuple((TRAINIDS.palette or ())[i] for i in _COMMON),
)


def spaces(
    to_trainids: Mapping[int, int], native: LabelMap | None = None
) -> dict[str, LabelMap]:
    """Return the label maps of files whose ids have Cityscapes train ids.

    Args:
        to_trainids: stored id -> train id, or the ignore value.
        native: the data set's own classes.
    """
    maps = {
        "trainids": _after(to_trainids, TRAINIDS),
        "common6": _after(to_trainids, COMMON6),
    }
    return maps if native is None else {"native": native, **maps}


_SAME = {i: i for i in range(19)}
_LABEL_IDS = {-1: IGNORE, 34: IGNORE} | {
    i: IGNORE if row[1] == "-" else int(row[1]) for i, row in enumerate(_ROWS)
}
_NATIVE = LabelMap(
    tuple(row[0] for row in _ROWS),
    ids={i: i if 0 <= i < 34 else IGNORE for i in _LABEL_IDS},  # -1, 34: licence plate
    palette=_palette(_ROWS),
)
_LABEL_ID_SPACES = spaces(_LABEL_IDS) | {"native": _NATIVE}

# fmt: off
_CAMVID = LabelMap(
    ("Sky", "Building", "Pole", "Road", "Pavement", "Tree", "SignSymbol", "Fence",
     "Car", "Pedestrian", "Bicyclist"),
    ids={i: i for i in range(11)} | {11: IGNORE},
    palette=((128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128),
             (60, 40, 222), (128, 128, 0), (192, 128, 128), (64, 64, 128),
             (64, 0, 128), (64, 64, 0), (0, 128, 192)),
)
_FACADE = LabelMap(
    ("building", "car", "door", "pavement", "road", "sky", "vegetation", "window"),
    ids={0: IGNORE} | {i: i - 1 for i in range(1, 9)},
    palette=((128, 0, 0), (128, 0, 128), (128, 128, 0), (128, 128, 128),
             (128, 64, 0), (0, 128, 128), (0, 128, 0), (0, 0, 128)),
)
# fmt: on
_TO_TRAIN = {
    "camvid": (10, 2, 5, 0, 1, 8, 7, 4, 13, 11, 18, IGNORE),
    "labelmefacade": (IGNORE, 2, 13, 2, 1, 0, 10, 8, 2),
    # Simulator ids: train id + 1, and 24 is a road line.
    "carlascapes": (IGNORE, *range(19), *[IGNORE] * 4, 0, *[IGNORE] * 4),
}


@dataclasses.dataclass(frozen=True)
class LabelFiles:
    """One kind of label file a layout may hold."""

    paths: tuple[str, ...]  # templates, parallel to `Layout.images`
    maps: Mapping[str, LabelMap]  # the first is the default


@dataclasses.dataclass(frozen=True)
class Layout:
    """The layout of a data set in its folder.

    Templates are paths below the root with `{split}`, `{domain}`, `{stem}` and `{ext}`
    (png, jpg or jpeg), each standing for part of one path element.
    """

    images: tuple[str, ...]
    labels: tuple[LabelFiles, ...]  # the first kind with a file is read
    splits: tuple[str, ...] = ()  # what {split} may be; empty: anything
    domain: str = ""  # regular expression with one group, searched in the stem
    group: str = "image"  # "image", "time" (blocks of frames) or "scene" (of the stem)


_IMAGES = ("images/{stem}.{ext}", "images/{domain}/{stem}.{ext}")
_LABELS = ("labels/{stem}.png", "labels/{domain}/{stem}.png")
_MASKS = ("masks/{stem}.png", "masks/{domain}/{stem}.png")
_OWN = (LabelFiles(_LABELS, {}), LabelFiles(_MASKS, {}))
_CITY_LABEL = "gtFine/{split}/{domain}/{stem}_gtFine_"

# Where neither a folder nor the stem names the domain, `domains.tsv` may; where no
# folder names the split, a list `<split>.txt` may.
LAYOUTS: dict[str, Layout] = {
    "cityscapes": Layout(
        images=("leftImg8bit/{split}/{domain}/{stem}_leftImg8bit.png",),
        labels=(
            LabelFiles((_CITY_LABEL + "labelIds.png",), _LABEL_ID_SPACES),
            LabelFiles((_CITY_LABEL + "labelTrainIds.png",), spaces(_SAME)),
        ),
        group="scene",
    ),
    "bdd100k": Layout(
        images=("images/10k/{split}/{stem}.jpg",),
        labels=(
            LabelFiles(("labels/sem_seg/masks/{split}/{stem}.png",), spaces(_SAME)),
        ),
    ),
    "gta5": Layout(
        images=("images/{stem}.png",),
        labels=(LabelFiles(("labels/{stem}.png",), _LABEL_ID_SPACES),),
        group="time",
    ),
    "camvid": Layout(
        images=("{split}/{stem}.png",),
        labels=(
            LabelFiles(
                ("{split}annot/{stem}.png",),
                spaces(dict(enumerate(_TO_TRAIN["camvid"])), _CAMVID),
            ),
        ),
        splits=("train", "val", "test"),
        domain=r"^([^_]+)_",
        group="time",
    ),
    "labelmefacade": Layout(
        images=("images/{stem}.jpg",),
        labels=(
            LabelFiles(
                ("labels/{stem}.png",),
                spaces(dict(enumerate(_TO_TRAIN["labelmefacade"])), _FACADE),
            ),
        ),
    ),
    "carlascapes": Layout(
        images=("{split}/{domain}/{stem}_img.png",),
        labels=(
            LabelFiles(
                ("{split}/{domain}/{stem}_labelIds.png",),
                spaces(dict(enumerate(_TO_TRAIN["carlascapes"]))),
            ),
        ),
        group="time",
    ),
    "folders": Layout(images=_IMAGES, labels=_OWN),
}

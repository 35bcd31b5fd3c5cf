"""Pairs of data for few-shot transfer, real and made up, and how sources learn."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from trfjax.data import Dataset, load_dataset
from trfjax.training.augment import Augment
from trfjax.training.recipe import Recipe

Study = Literal["camvid", "pacs", "tuning", "pacs-tuning"]
AUGMENT = Augment(flip=0.5, scale=0.25, brightness=0.2, contrast=0.2, saturation=0.2)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setup:
    """The settings that the pairs of a study share."""

    root: str  # folder that holds camvid and pacs
    width: int  # base width of the networks
    source_steps: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pair:
    """A source and a target."""

    name: str
    source: Callable[[], Dataset]
    pool: Callable[[], Dataset]
    test: Callable[[], Dataset] | None  # None: what is left of the pool
    card: dict[str, Any]  # architecture, config and input size
    recipe: Recipe  # of the source
    draw: Callable[[Dataset, int], np.ndarray]  # positions of the shots


def spread_shots(count: int) -> Callable[[Dataset, int], np.ndarray]:
    """Return a draw of images, as `Dataset.shots` makes it."""

    def draw(pool: Dataset, seed: int) -> np.ndarray:
        return np.sort(np.random.default_rng(seed).permutation(len(pool))[:count])

    return draw


def shots_by_class(count: int) -> Callable[[Dataset, int], np.ndarray]:
    """Return a draw of as many images of every class."""

    def draw(pool: Dataset, seed: int) -> np.ndarray:
        labels = np.array([int(example["label"]) for example in pool])
        rng = np.random.default_rng(seed)
        rows = [
            rng.permutation(np.flatnonzero(labels == c))[:count] for c in set(labels)
        ]
        return np.sort(np.concatenate(rows))

    return draw


def _camvid(setup: Setup) -> list[Pair]:
    def data(name: str) -> Callable[[], Dataset]:
        root = Path(setup.root) / "camvid"
        return lambda: load_dataset(f"camvid:{name}", root, size=(96, 128), cache=500)

    recipe = Recipe(steps=setup.source_steps)
    return [
        Pair(
            name=f"{day} to 0001TP",
            source=data(day),
            pool=data("0001TP[:0.5]"),
            test=data("0001TP[0.5:]"),
            card=_unet(setup.width, (96, 128)),
            recipe=recipe,
            draw=spread_shots(20),
        )
        for day in ("Seq05VD", "0006R0")
    ]


def _unet(width: int, size: tuple[int, int]) -> dict[str, Any]:
    return {"architecture": "unet", "config": {"width": width}, "input_size": size}


def _tuning(setup: Setup) -> list[Pair]:
    def city(name: str, seed: int, count: int) -> Callable[[], Dataset]:
        return lambda: load_dataset(
            f"synthetic:{name}", size=(64, 128), count=count, seed=seed, cache=500
        )

    return [
        Pair(
            name=f"{one} to {other}",
            source=city(one, 0, 80),
            pool=city(other, 1, 60),
            test=city(other, 2, 40),
            card=_unet(8, (64, 128)),
            recipe=Recipe(steps=setup.source_steps),
            draw=spread_shots(20),
        )
        for one, other in (("arden", "delmira"), ("bruma", "lumeo"))
    ]


def _pacs(pairs: tuple[tuple[str, str], ...]) -> Callable[[Setup], list[Pair]]:
    def make(setup: Setup) -> list[Pair]:
        def style(name: str) -> Callable[[], Dataset]:
            root = Path(setup.root) / "pacs"
            return lambda: load_dataset(f"pacs:{name}", root, size=(64, 64), cache=500)

        recipe = Recipe(
            steps=2 * setup.source_steps,
            batch_size=32,
            learning_rate=5e-3,
            augment=AUGMENT,
        )
        return [
            Pair(
                name=f"{one} to {other}",
                source=style(one),
                pool=style(other),
                test=None,
                card={
                    "architecture": "resnet18",
                    "config": {"width": 16},
                    "input_size": (64, 64),
                },
                recipe=recipe,
                draw=shots_by_class(5),
            )
            for one, other in pairs
        ]

    return make


PAIRS: dict[str, Callable[[Setup], list[Pair]]] = {
    "camvid": _camvid,
    "tuning": _tuning,
    "pacs": _pacs((("photo", "sketch"), ("art_painting", "cartoon"))),
    "pacs-tuning": _pacs((("photo", "cartoon"), ("sketch", "art_painting"))),
}

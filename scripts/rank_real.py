"""Rank six sources on real data and measure what really transfers.

python scripts/rank_real.py --study camvid --root ../shared/data
python scripts/rank_real.py --study labelmefacade --root ../shared/data
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

import tyro

from trfjax.cli.study import report_study
from trfjax.studies.real import real_study
from trfjax.training.recipe import Recipe


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the study."""

    study: Literal["camvid", "labelmefacade"] = "camvid"
    root: str = "../shared/data"  # folder that holds camvid and labelmefacade
    out: str | None = None  # everything is kept here; runs/<study> by default
    size: tuple[int, int] = (96, 128)  # height and width the networks see
    base: int = 12  # base width of the U-Nets
    steps: int = 250  # of training a source
    shots: int = 20  # labelled target images
    pixels: int | Literal["all"] = 10_000  # N
    repeats: int = 10  # K
    seeds: int = 2  # measurements of every fine-tuning


def main(config: Config) -> None:
    """Train, rank, fine-tune, compare."""
    study = dataclasses.replace(
        real_study(config.study, config.root, size=config.size),
        width=config.base,
        shots=config.shots,
        recipe=Recipe(steps=config.steps),
        seeds=tuple(range(config.seeds)),
        pixels=config.pixels,
        repeats=config.repeats,
    )
    report_study(study, Path(config.out or f"runs/{config.study}"))


if __name__ == "__main__":
    main(tyro.cli(Config))

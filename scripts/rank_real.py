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
from trfjax.studies.specs import DataSpec
from trfjax.studies.study import Study
from trfjax.training.recipe import Recipe

# Day sequences and their halves; the target is the dark sequence.
CAMVID = (
    "camvid:0006R0",
    "camvid:0006R0[:0.5]",
    "camvid:0016E5",
    "camvid:0016E5[:0.5]",
    "camvid:Seq05VD",
    "camvid:Seq05VD[0.5:]",
)
# Photographs of other places and two drives, over the six classes they share.
LABELMEFACADE = (
    "labelmefacade:boston_area",
    "labelmefacade:cambridge_uk",
    "labelmefacade:envelope_insidecity",
    "labelmefacade:mallorca_villages",
    "camvid:0006R0",
    "camvid:0016E5",
)


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
    camvid = config.study == "camvid"
    target = "camvid:0001TP" if camvid else "labelmefacade:palma"

    def data(name: str) -> DataSpec:
        root = str(Path(config.root) / name.split(":")[0])
        labels = None if camvid else "common6"
        return DataSpec(name=name, root=root, labels=labels, size=config.size)

    names = CAMVID if camvid else LABELMEFACADE
    study = Study(
        sources={name.split(":", 1)[1]: data(name) for name in names},
        target=data(f"{target}[:0.5]"),  # the shots are drawn from the first half
        test=data(f"{target}[0.5:]"),  # transfer is measured on the second
        size=config.size,
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

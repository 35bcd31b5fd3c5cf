"""Rank six CamVid sources for the dark sequence and measure what really transfers.

python scripts/rank_camvid.py --root ../shared/data/camvid
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import tyro

from trfjax.cli.runs import DataSpec
from trfjax.cli.study import Study, report_study
from trfjax.transfer.recipe import Recipe


@dataclasses.dataclass(frozen=True)
class Config:
    """Six U-Nets on three day sequences and their halves; 20 shots of the dark one."""

    root: str = "../shared/data/camvid"  # folder of CamVid
    out: str = "runs/camvid"  # everything is kept here
    height: int = 96
    width: int = 128
    base: int = 12  # base width of the U-Nets
    steps: int = 250  # of training a source
    shots: int = 20  # labelled target images
    pixels: int = 10_000  # N
    repeats: int = 10  # K
    seeds: int = 2  # measurements of every fine-tuning


SOURCES = (
    "0006R0", "0006R0[:0.5]", "0016E5", "0016E5[:0.5]", "Seq05VD", "Seq05VD[0.5:]",
)  # fmt: skip


def main(config: Config) -> None:
    """Train, rank, fine-tune, compare."""
    size = (config.height, config.width)

    def sequence(domain: str) -> DataSpec:
        return DataSpec(name=f"camvid:{domain}", root=config.root, size=size)

    study = Study(
        sources={name: sequence(name) for name in SOURCES},
        target=sequence("0001TP[:0.5]"),
        test=sequence("0001TP[0.5:]"),
        size=size,
        width=config.base,
        shots=config.shots,
        recipe=Recipe(steps=config.steps),
        seeds=tuple(range(config.seeds)),
        pixels=config.pixels,
        repeats=config.repeats,
    )
    report_study(study, Path(config.out))


if __name__ == "__main__":
    main(tyro.cli(Config))

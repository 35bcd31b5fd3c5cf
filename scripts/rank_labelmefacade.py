"""Rank six sources for one city of LabelMeFacade over six shared classes.

python scripts/rank_labelmefacade.py --root ../shared/data
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
    """Four photograph collections and two CamVid sequences; 20 shots of a city."""

    root: str = "../shared/data"  # folder that holds labelmefacade and camvid
    out: str = "runs/labelmefacade"  # everything is kept here
    target: str = "palma"
    height: int = 96
    width: int = 128
    base: int = 8  # base width of the U-Nets
    steps: int = 250  # of training a source
    shots: int = 20  # labelled target images
    pixels: int = 10_000  # N
    repeats: int = 10  # K
    seeds: int = 2  # measurements of every fine-tuning


SOURCES = (
    "labelmefacade:boston_area", "labelmefacade:cambridge_uk",
    "labelmefacade:envelope_insidecity", "labelmefacade:mallorca_villages",
    "camvid:0006R0", "camvid:0016E5",
)  # fmt: skip


def main(config: Config) -> None:
    """Train, rank, fine-tune, compare."""
    size = (config.height, config.width)

    def domain(name: str) -> DataSpec:
        root = str(Path(config.root) / name.split(":")[0])
        return DataSpec(name=name, root=root, labels="common6", size=size)

    study = Study(
        sources={name.split(":")[1]: domain(name) for name in SOURCES},
        target=domain(f"labelmefacade:{config.target}[:0.5]"),
        test=domain(f"labelmefacade:{config.target}[0.5:]"),
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

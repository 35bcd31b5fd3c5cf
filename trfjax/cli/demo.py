"""`trfjax demo`: the main job on embedded data."""

from __future__ import annotations

import dataclasses
from typing import Any

from trfjax.cli.study import report_study
from trfjax.data import contact_sheet
from trfjax.files import atomic_path
from trfjax.studies.outputs import claimed
from trfjax.studies.specs import DataSpec
from trfjax.studies.study import Study
from trfjax.training.recipe import Recipe
from trfjax.transfer.start import FINETUNE

SOURCES = ("arden", "corvale", "delmira", "galden", "ilmar", "lumeo")
TARGET = "kestry"  # towers at dusk


@dataclasses.dataclass(frozen=True)
class Extent:
    """The size of a demo."""

    folder: str  # by default
    sources: int
    size: tuple[int, int]
    images: int  # of every source city
    pool: int  # target images that the labelled few are drawn from
    test: int  # target images of other streets
    shots: int
    width: int  # of the networks
    recipe: Recipe
    finetune: Recipe


FULL = Extent(
    folder="runs/demo",
    sources=len(SOURCES),
    size=(64, 128),
    images=40,
    pool=40,
    test=40,
    shots=20,
    width=8,
    recipe=Recipe(steps=160),
    finetune=FINETUNE,
)
# Shows that every part works; its networks have learnt too little to rank.
QUICK = Extent(
    folder="runs/demo-quick",
    sources=3,
    size=(32, 64),
    images=12,
    pool=8,
    test=4,
    shots=6,
    width=4,
    recipe=Recipe(steps=12),
    finetune=dataclasses.replace(FINETUNE, steps=6),
)


def study_of(config: Any) -> Study:
    """Return the study the demo runs."""
    extent = QUICK if config.quick else FULL

    def city(name: str, count: int, seed: int) -> DataSpec:
        return DataSpec(
            name=f"synthetic:{name}", count=count, size=extent.size, seed=seed
        )

    names = SOURCES[: extent.sources]
    return Study(
        sources={name: city(name, extent.images, config.seed) for name in names},
        target=city(TARGET, extent.pool, config.seed),
        test=city(TARGET, extent.test, config.seed + 1000),
        size=extent.size,
        width=extent.width,
        shots=extent.shots,
        recipe=extent.recipe,
        finetune=extent.finetune,
        seeds=tuple(range(config.seed, config.seed + config.repeats)),
        seed=config.seed,
    )


def run(config: Any) -> int:
    """Run the demo and print where its report is."""
    extent = QUICK if config.quick else FULL
    study = study_of(config)
    with claimed(config.out or extent.folder, "demo") as folder:
        target = study.target.load()
        with atomic_path(folder / "target.png") as temporary:
            shots = target.shots(min(12, len(target)), seed=config.seed)
            contact_sheet(shots).save(temporary)
        if config.quick:
            print("The quick form: it shows that all works, not how well they rank.")
        report_study(study, folder)
    return 0

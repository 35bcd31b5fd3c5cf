"""`trfjax demo`: the main job on embedded data."""

from __future__ import annotations

from typing import Any

from trfjax.cli.studied import report_study
from trfjax.data import contact_sheet
from trfjax.files import atomic_path
from trfjax.studies.runs import DataSpec, check_folder
from trfjax.studies.study import Study
from trfjax.training.recipe import Recipe

SOURCES = ("arden", "corvale", "delmira", "galden", "ilmar", "lumeo")
TARGET = "kestry"  # towers at dusk
SIZE = (64, 128)
IMAGES = 40  # of every source city
POOL = 40  # target images that the labelled few are drawn from
TEST = 40  # target images of other streets


def study_of(config: Any) -> Study:
    """Return the study the demo runs."""

    def city(name: str, count: int, seed: int) -> DataSpec:
        return DataSpec(name=f"synthetic:{name}", count=count, size=SIZE, seed=seed)

    return Study(
        sources={name: city(name, IMAGES, config.seed) for name in SOURCES},
        target=city(TARGET, POOL, config.seed),
        test=city(TARGET, TEST, config.seed + 1000),
        size=SIZE,
        recipe=Recipe(steps=160),
        seeds=tuple(range(config.seed, config.seed + config.repeats)),
        seed=config.seed,
    )


def run(config: Any) -> int:
    """Run the demo and print where its report is."""
    folder, study = check_folder(config.out, "--out"), study_of(config)
    with atomic_path(folder / "target.png") as temporary:
        contact_sheet(study.target.load().shots(12, seed=config.seed)).save(temporary)
    report_study(study, folder)
    return 0

"""`trfjax demo`: the main job on embedded data."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from trfjax.cli.rank import write_results
from trfjax.cli.runs import DataSpec
from trfjax.cli.study import Study, judgement, run_study, write_outcome
from trfjax.data import contact_sheet
from trfjax.files import atomic_path
from trfjax.transfer.recipe import Recipe

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
        pixels=5_000,
        seed=config.seed,
    )


def _say(text: str) -> None:
    print(text, flush=True)


def run(config: Any) -> int:
    """Run the demo and print where its report is."""
    folder, study = Path(config.out), study_of(config)
    started = time.perf_counter()
    print(f"{len(study.sources)} source networks, one city each:")
    with atomic_path(folder / "target.png") as temporary:
        contact_sheet(study.target.load().shots(12, seed=config.seed)).save(temporary)
    outcome = run_study(study, folder, say=_say)
    print(
        f"\nDoes it predict transfer to {TARGET}, measured with {study.seeds} as seeds?"
    )
    print(judgement(outcome))
    names = "  ".join(f"{k} {v:.0f} s" for k, v in outcome.timings.items())
    print(f"\n{names}")
    write_outcome(outcome, folder)
    report = write_results(
        outcome.ranking, folder, measured=outcome.measured, timings=outcome.timings
    )
    print(f"done in {time.perf_counter() - started:.0f} s; report: {report}")
    return 0

"""Maps before and errors after fine-tuning, for every source of a study."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from trfjax.data.dataset import Dataset
from trfjax.ranking.run import VERSION
from trfjax.store import Made, Store
from trfjax.studies.map_quality import BASELINES, CellRun, errors_after, maps_before
from trfjax.studies.sources import SourceRun
from trfjax.studies.study import Study, study_source
from trfjax.transfer.finetune import finetune


def map_runs(
    study: Study, folder: Path, *, metrics: Sequence[str], stride: int = 8
) -> Iterator[CellRun]:
    """Yield one run a source and seed; what a folder holds already is read back.

    Args:
        study: sources, target and seeds; its test images are those errors are
            counted on.
        folder: where everything is kept.
        metrics: scores that can be mapped.
        stride: pixels a cell is high and wide.

    Raises:
        ValueError: settings or data that cannot be used.
    """
    pool, test = study.target.load(), study.test.load()
    for name, spec in study.sources.items():
        data = spec.load()
        run = study_source(study, name, data, folder)
        for seed in study.seeds:
            settings = {"metrics": tuple(metrics), "stride": stride, "seed": seed}
            yield _cell_run(study, run, name, (data, pool, test), folder, settings)


def _cell_run(
    study: Study,
    run: SourceRun,
    name: str,
    data: tuple[Dataset, Dataset, Dataset],
    folder: Path,
    settings: dict[str, Any],
) -> CellRun:
    """Map, fine-tune and count, or read what was counted."""
    source_data, pool, test = data
    seed, stride = settings["seed"], settings["stride"]
    key = {
        "source": run.key,
        "shots": study.shots,
        "finetune": study.finetune.to_dict(),
        "pool": pool.fingerprint,
        "test": test.fingerprint,
        "version": VERSION,
        **settings,
    }

    def work() -> Made:
        shots = pool.shots(study.shots, seed=seed)
        some = source_data.select(range(min(study.shots, len(source_data))))
        maps = maps_before(run.trained, shots, some, **settings)
        recipe = dataclasses.replace(study.finetune, seed=seed)
        tuned = finetune(run.trained, shots, recipe=recipe).trained
        wrong, pixels = errors_after(tuned, test, stride)
        return Made(arrays={**maps, "wrong": wrong, "pixels": pixels})

    record = Store(folder / "maps").keep(key, work, name=f"{name}-{seed}")
    names = (*settings["metrics"], *BASELINES)
    return CellRun(
        source=name,
        seed=seed,
        maps={one: record.arrays[one] for one in names},
        wrong=record.arrays["wrong"],
        pixels=record.arrays["pixels"],
    )

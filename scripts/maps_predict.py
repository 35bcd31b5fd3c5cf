"""Do maps made before fine-tuning say where the fine-tuned networks will be wrong?

python scripts/maps_predict.py                                     # synthetic cities
python scripts/maps_predict.py --study camvid --root ../shared/data

Finished parts are read back.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

import tyro

from trfjax.reporting.tables import markdown
from trfjax.studies.cities import city_study
from trfjax.studies.map_quality import judge_maps
from trfjax.studies.map_runs import map_runs
from trfjax.studies.real import real_study


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the study."""

    study: Literal["synthetic", "camvid", "labelmefacade"] = "synthetic"
    root: str = "../shared/data"  # folder that holds camvid and labelmefacade
    out: str | None = None  # everything is kept here; runs/maps-<study> by default
    metrics: tuple[str, ...] = ("leep", "nce", "otce", "logme", "h_score")
    stride: int = 8  # pixels a cell is high and wide
    seeds: int = 3  # draws of shots, and fine-tunings, of every source
    resamples: int = 500
    quick: bool = False  # a few small networks: shows that it works


def main(config: Config) -> None:
    """Train, map, fine-tune, compare."""
    if config.study == "synthetic":
        study = city_study(quick=config.quick)
    else:
        study = real_study(config.study, config.root)
    study = dataclasses.replace(study, seeds=tuple(range(config.seeds)))
    folder = Path(config.out or f"runs/maps-{config.study}")
    runs = []
    for run in map_runs(study, folder, metrics=config.metrics, stride=config.stride):
        share = run.wrong.sum() / run.pixels.sum()
        print(f"{run.source}, seed {run.seed}: errs on {share:.1%}", flush=True)
        runs.append(run)
    rows = [
        [one.name, str(one.correlation), str(one.beyond)]
        for one in judge_maps(runs, resamples=config.resamples)
    ]
    print(markdown(["map of", "where it is right", "beyond the baselines"], rows))


if __name__ == "__main__":
    main(tyro.cli(Config))

"""Twenty images by `suggest` against twenty at random: which fine-tune better?

python scripts/suggest_study.py                                    # synthetic cities
python scripts/suggest_study.py --study camvid --root ../shared/data

Finished parts are read back.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

import msgspec
import tyro

from trfjax.reporting.tables import markdown
from trfjax.studies.cities import city_study
from trfjax.studies.real import real_study
from trfjax.studies.study import study_source
from trfjax.studies.suggested import Choosing, Draw, draws, gains
from trfjax.transfer.empirical import MEASURES


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the study."""

    study: Literal["synthetic", "camvid"] = "synthetic"
    root: str = "../shared/data"  # folder that holds camvid
    out: str | None = None  # everything is kept here; runs/suggest-<study> by default
    sources: int = 3  # the first of the study
    candidates: int = 60  # unlabelled images that are chosen from; 40 for camvid
    count: int = 20  # to be labelled
    draws: int = 10  # of candidates, for every source
    quick: bool = False  # small networks: shows that it works


def main(config: Config) -> None:
    """Train, choose, fine-tune, compare."""
    camvid = config.study == "camvid"
    folder = Path(config.out or f"runs/suggest-{config.study}")
    if camvid:
        study = real_study("camvid", config.root)
    else:
        study = city_study(quick=config.quick)
        study = dataclasses.replace(
            study,
            target=msgspec.structs.replace(study.target, count=2 * config.candidates),
        )
    choosing = Choosing(
        pool=study.target.load(),
        test=study.test.load(),
        candidates=min(config.candidates, 40) if camvid else config.candidates,
        count=config.count,
        recipe=study.finetune,
    )
    found: list[Draw] = []
    for name in list(study.sources)[: config.sources]:
        run = study_source(study, name, study.sources[name].load(), folder)
        for one in draws(name, run, choosing, range(config.draws), folder / "draws"):
            print(f"{name}, draw {one.seed}: mIoU {one.gain('miou'):+.4f}", flush=True)
            found.append(one)
    names = dict.fromkeys(one.source for one in found)
    parts = {name: [one for one in found if one.source == name] for name in names}
    rows = [
        [name, *(_text(gains(part, m)) for m in MEASURES)]
        for name, part in [*parts.items(), ("all", found)]
    ]
    print(markdown(["source", *MEASURES], rows))


def _text(gain: object) -> str:
    value, low, high = (getattr(gain, end) for end in ("value", "low", "high"))
    return f"{value:+.4f} [{low:+.4f}, {high:+.4f}]"


if __name__ == "__main__":
    main(tyro.cli(Config))

"""Do scores predict transfer between made-up cities? Twelve sources, four targets.

python scripts/synthetic_study.py            # resumable; the same command goes on
python scripts/synthetic_study.py --quick    # four sources, two targets: does it work?
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import tyro

from trfjax.data.synthetic import CITIES
from trfjax.reporting.sweep import progress_line, quality_text, summary
from trfjax.studies.sweep.quality import judge_sweep
from trfjax.studies.sweep.sweep import sweep
from trfjax.transfer.empirical import MEASURES

SCORES = ("otce", "leep", "nce", "logme")
# Unlike views on the last layer and on all levels: the panel of docs/scores.md.
VIEWS = ("otce@penultimate", "h_score", "linear_probe", "otce@levels",
         "h_score@levels", "linear_probe@levels")  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the study."""

    out: str | None = None  # runs/synthetic-study by default, or runs/synthetic-quick
    quick: bool = False  # a few steps of few small networks
    targets: tuple[str, ...] = ("kestry", "arden", "ilmar", "delmira")
    engine: str = "serial"


def main(config: Config) -> None:
    """Run what is left of the study and print what it found."""
    folder = "runs/synthetic-quick" if config.quick else "runs/synthetic-study"
    given = quick(config) if config.quick else full(config)
    result = sweep(
        given,
        Path(config.out or folder),
        engine=config.engine,
        progress=lambda event: print(progress_line(event), flush=True),
    )
    print(summary(result))
    for measured in MEASURES:
        print(f"\n{quality_text(judge_sweep(result, measured))}")


def full(config: Config) -> dict[str, Any]:
    """Return the study: every city a source, some a target."""
    return {
        "size": [64, 128],
        "shots": 20,
        "seeds": [0, 1],
        "scores": [*SCORES, *VIEWS],
        "panels": [
            {"name": "last layer", "scores": VIEWS[:3]},
            {"name": "all levels", "scores": VIEWS[3:]},
            {"name": "six views", "scores": VIEWS},
        ],
        "pixels": 3000,
        "repeats": 4,
        "methods": [{"mode": "full", "steps": 60}, {"mode": "scratch", "steps": 60}],
        "train": {"model": "unet", "width": 8, "steps": 300},
        "sources": [city(name, 60) for name in CITIES],
        "targets": [city(name, 80) for name in config.targets],
    }


def quick(config: Config) -> dict[str, Any]:
    """Return the same study, small enough to be run at every change."""
    names = [*config.targets[:2], *(c for c in CITIES if c not in config.targets)]
    return full(config) | {
        "size": [32, 64],
        "shots": 4,
        "pixels": 300,
        "repeats": 1,
        "methods": [{"mode": "full", "steps": 5}, {"mode": "scratch", "steps": 5}],
        "train": {"model": "unet", "width": 4, "steps": 20},
        "sources": [city(name, 12) for name in names[:4]],
        "targets": [city(name, 16) for name in names[:2]],
    }


def city(name: str, count: int) -> dict[str, Any]:
    """Return a made-up city as a source or a target."""
    return {"name": name, "data": {"name": f"synthetic:{name}", "count": count}}


if __name__ == "__main__":
    main(tyro.cli(Config))

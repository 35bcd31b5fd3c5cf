"""Which source to take for a new structure: every source to every target on brains.

python scripts/brains.py --quick
python scripts/brains.py --out runs/brains
"""

from __future__ import annotations

import dataclasses
import sys
import time
from pathlib import Path

import tyro

from trfjax.data.brains import BINARY
from trfjax.files import write_text
from trfjax.reporting.structures import (
    correlations,
    first_choices,
    matrix,
    statements,
)
from trfjax.studies.brains import FULL, QUICK, run
from trfjax.studies.findings import findings


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the study."""

    out: str = "runs/brains"  # what is measured is kept here, and read back
    quick: bool = False  # nine sources, four targets, a few patients
    seed: int = 0


def main(config: Config) -> None:
    """Train, transfer, rank, and hold the statements against what was measured."""
    study = dataclasses.replace(QUICK if config.quick else FULL, seed=config.seed)
    began, worked = time.perf_counter(), time.process_time()

    def say(done: str) -> None:
        print(f"{time.perf_counter() - began:5.0f} s  {done}", file=sys.stderr)

    measured = list(run(study, Path(config.out), progress=say))
    parts = {
        "Dice after transfer": matrix(measured),
        "Findings": statements(findings(measured, BINARY)),
        "Rank correlation with Dice": correlations(measured),
        "Spearman's footrule at the best sources": first_choices(measured, BINARY),
    }
    text = "\n\n".join(f"## {name}\n\n{part}" for name, part in parts.items())
    write_text(Path(config.out) / "brains.md", text + "\n")
    print(text)
    say(f"all done, {time.process_time() - worked:.0f} s of CPU")


if __name__ == "__main__":
    main(tyro.cli(Config))

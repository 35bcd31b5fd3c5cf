"""`trfjax demo`: the main job on embedded data."""

from __future__ import annotations

from typing import Any

from trfjax.cli.study import report_study
from trfjax.data import contact_sheet
from trfjax.files import atomic_path
from trfjax.studies.cities import city_study
from trfjax.studies.outputs import claimed


def run(config: Any) -> int:
    """Run the demo and print where its report is."""
    study = city_study(quick=config.quick, repeats=config.repeats, seed=config.seed)
    default = "runs/demo-quick" if config.quick else "runs/demo"
    with claimed(config.out or default, "demo") as folder:
        target = study.target.load()
        with atomic_path(folder / "target.png") as temporary:
            shots = target.shots(min(12, len(target)), seed=config.seed)
            contact_sheet(shots).save(temporary)
        if config.quick:
            print("The quick form: it shows that all works, not how well they rank.")
        report_study(study, folder)
    return 0

"""`trfjax adapt`."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import msgspec

from trfjax.adaptation import METHODS
from trfjax.adaptation.adapt import ADAPT
from trfjax.cli import FAILED_CELLS
from trfjax.cli.sources import check_network, given, load_source_data
from trfjax.data.dataset import Dataset
from trfjax.reporting.adaptation import text, write_results
from trfjax.studies.adapting import Adapting, adapt_run, make_room
from trfjax.studies.outputs import claimed
from trfjax.studies.runs import open_model, write_config
from trfjax.studies.specs import DataSpec, spec_of

POOL = 0.5  # share of the target that is adapted to when no test set is named


def run(config: Any) -> int:
    """Adapt by every method with every seed; write networks and tables."""
    _check(config)
    work = adapting_of(config)
    inputs = [config.source, *filter(None, (config.root, config.source_root))]
    with claimed(config.out, "adapt", inputs=inputs) as folder:
        make_room(
            work, config.methods, config.seeds, folder, overwrite=config.overwrite
        )
        tested = "none" if work.test is None else len(work.test)
        print(
            f"{work.source.card.name} to {work.target.name}: {len(work.target)} images "
            f"without their labels, {tested} to test",
            file=sys.stderr,
        )
        records = [
            adapt_run(work, method, seed, folder)
            for method in config.methods
            for seed in config.seeds
        ]
        write_config(folder, config)
        write_results(records, folder)
    print(text(records, config.format))
    print(f"networks and tables: {folder}", file=sys.stderr)
    good = [record for record in records if record["status"] == "ok"]
    return 0 if len(good) == len(records) else FAILED_CELLS


def adapting_of(config: Any) -> Adapting:
    """Open what the options name."""
    source = open_model(config.source)
    size = config.size or source.card.input_size
    spec = spec_of(config, config.target, size=size, shots=None)
    target, test = _target(config, spec)
    options = given(config, "steps", "batch_size", "learning_rate", "aux_weight")
    why = "adaptation needs that. Name it with --source-data."
    return Adapting(
        source=source,
        source_data=load_source_data(config, size, why=why),
        target=target,
        test=test,
        recipe=dataclasses.replace(ADAPT, **options),
        validator=config.validator,
        resume=config.resume,
        spec=spec.absolute(),
    )


def _target(config: Any, spec: DataSpec) -> tuple[Dataset, Dataset | None]:
    """Return the images to adapt to and those to report on."""
    pool = spec.load()
    if config.test == "none":
        return pool, None
    if config.test is None:
        return pool.split(POOL, seed=0)
    return pool, msgspec.structs.replace(spec, name=config.test).load()


def _check(config: Any) -> None:
    unknown = [name for name in config.methods if name not in METHODS]
    if unknown:
        raise ValueError(
            f"--methods: unknown {unknown[0]!r}; available: {', '.join(METHODS)}"
        )
    check_network("--source", config.source)

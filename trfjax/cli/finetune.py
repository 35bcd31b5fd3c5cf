"""`trfjax finetune`."""

from __future__ import annotations

import dataclasses
import shlex
import sys
from typing import Any

import msgspec
import numpy as np
from tqdm import tqdm

from trfjax.cli import FAILED_CELLS
from trfjax.cli.sources import check_network, given, load_source_data
from trfjax.data.dataset import Dataset
from trfjax.reporting.finetuning import text, write_results
from trfjax.studies.finetune_runs import finetune_seed, make_room
from trfjax.studies.finetuning import METHODS, Finetuning, recipe_of
from trfjax.studies.outputs import claimed
from trfjax.studies.runs import open_model, write_config
from trfjax.studies.specs import DataSpec, spec_of
from trfjax.transfer.guide import default_guide

POOL = 0.5  # share of the target that shots are drawn from when half is held back
FOLDS = 5  # of a cross-validation
SHOTS = 20  # learned where nothing else is said


def run(config: Any) -> int:
    """Fine-tune a network with every seed; write networks, tables and curves."""
    work = finetuning_of(config)
    inputs = [config.source, *filter(None, (config.root, config.source_root))]
    with claimed(config.out, "finetune", inputs=inputs) as folder:
        make_room(work, config.seeds, folder, overwrite=config.overwrite)
        _say(_plan(work))
        total = work.trainings * len(config.seeds)
        title = f"finetune {work.method}"
        with tqdm(total=total, desc=title, unit="training", disable=None) as bar:
            records = [
                finetune_seed(work, seed, folder, done=bar.update)
                for seed in config.seeds
            ]
        write_config(folder, config)
        write_results(records, folder)
    print(text(records, folder, config.format))
    good = [record for record in records if record["status"] == "ok"]
    if good:
        network = (folder / good[0]["model"]).parent
        _say(f"network of seed {good[0]['seed']}: {network}")
        _say(f"tables and curves: {folder}")
        _say(
            f"next: trfjax predict --model {shlex.quote(str(network))} --images "
            "PHOTOGRAPHS --out runs/predict"
        )
    return 0 if len(good) == len(records) else FAILED_CELLS


def _plan(work: Finetuning) -> str:
    """Say what is learned, and what it is tested on."""
    told = f"{work.shots} of {len(work.pool)} {work.pool.unit}s"
    if work.folds:
        tested = f"tested on the same {work.shots} by cross-validation"
        tested += f" in {work.folds} parts; the network that is kept learns from all"
    elif work.test is None:
        tested = "not tested"
    else:
        tested = f"tested on {len(work.test)} images of {work.test.name}"
    name = work.source.card.name
    return f"{name} to {work.target}: learns {told}, {tested}"


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def finetuning_of(config: Any) -> Finetuning:
    """Check the options and open what they name."""
    _check(config)
    options = given(config, "steps", "batch_size", "learning_rate")
    recipe = recipe_of(config.method, **options)
    source = open_model(config.source)
    size = config.size or source.card.input_size
    spec = spec_of(config, config.target, size=size, shots=None)
    pool, test = _target(config, spec)
    shots = _shots(config, pool)
    guide, data = None, None
    if config.method == "otce":
        why = "the method otce needs that. Name it with --source-data, or choose "
        why += "another --method."
        data = load_source_data(config, size, why=why)
        guide = default_guide(pool)
        if config.alignment_steps is not None:
            guide = dataclasses.replace(guide, steps=config.alignment_steps)
    return Finetuning(
        source=source,
        source_data=data,
        pool=pool,
        test=test,
        method=config.method,
        shots=shots,
        folds=min(FOLDS, shots) if config.test == "cv" else 0,
        compare=config.compare,
        recipe=recipe,
        guide=guide,
        held_out=config.held_out,
        spec=spec.absolute(),
    )


def _target(config: Any, spec: DataSpec) -> tuple[Dataset, Dataset | None]:
    """Return the images to learn from and those to test on."""
    pool = spec.load()
    if config.test in ("cv", "none"):
        return pool, None
    if config.test == "half":
        return pool.split(POOL, seed=0)
    return pool, msgspec.structs.replace(spec, name=config.test).load()


def _shots(config: Any, pool: Dataset) -> int:
    """Return how many images, or patients, are learned."""
    there = len(np.unique(pool.units))
    shots = min(SHOTS, there) if config.shots is None else config.shots
    if shots > there:
        hint = " Half is held back: --test cv learns from all." * (
            config.test == "half"
        )
        raise ValueError(
            f"--shots: {shots} asked of {pool.name}, which has {there} {pool.unit}s to "
            f"draw from.{hint}"
        )
    if config.test == "cv" and shots < 2:
        raise ValueError(f"--test: cv needs at least 2 {pool.unit}s to leave one out")
    return shots


def _check(config: Any) -> None:
    method = config.method
    if method not in METHODS and not method.startswith("last-"):
        raise ValueError(
            f"--method: unknown {method!r}; available: {', '.join(METHODS)}"
        )
    for name in ("source_data", "source_root", "alignment_steps"):
        if getattr(config, name) is not None and method != "otce":
            option = name.replace("_", "-")
            raise ValueError(f"--{option}: only the method otce looks at it")
    check_network("--source", config.source)

"""`trfjax finetune`."""

from __future__ import annotations

import dataclasses
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import jax
import msgspec
import numpy as np
from tqdm import tqdm

from trfjax.cli import FAILED_CELLS
from trfjax.data.dataset import Dataset
from trfjax.errors import DataError, ScoreWarning
from trfjax.files import digest, read_json, strict, write_json
from trfjax.models import create_model
from trfjax.models.checkpoint import load_model, save_model
from trfjax.reporting.tuned import show, write_results
from trfjax.state import TrainedModel
from trfjax.studies.runs import (
    CONFIG,
    MODEL,
    DataSpec,
    check_folder,
    open_model,
    spec_of,
    training_data,
    write_config,
)
from trfjax.training.layers import MODES
from trfjax.training.loop import DivergedError
from trfjax.training.recipe import Recipe
from trfjax.transfer.finetune import FinetuneResult, finetune
from trfjax.transfer.guide import Guide, default_guide
from trfjax.transfer.guided import GuidedResult, guided_finetune
from trfjax.transfer.start import FINETUNE
from trfjax.transfer.weighted import weighted_finetune
from trfjax.trees import arrays_digest, flatten

METHODS = (*MODES, "scratch", "otce", "weighted")
POOL = 0.5  # share of the target that shots are drawn from when no test set is named


@dataclasses.dataclass(frozen=True)
class Job:
    """What every seed of a command shares."""

    source: TrainedModel
    source_data: Dataset | None
    pool: Dataset
    test: Dataset
    method: str
    shots: int
    recipe: Recipe
    guide: Guide  # of the method otce
    held_out: float
    key: str  # of everything a result depends on but the seed


def run(config: Any) -> int:
    """Fine-tune a network with every seed; write networks, tables and curves."""
    job = _job(config)
    folder = check_folder(config.out, "--out")
    write_config(folder, config)
    print(
        f"{job.source.card.name} to {job.pool.name}: {job.shots} of {len(job.pool)} "
        f"images to learn from, {len(job.test)} to test",
        file=sys.stderr,
    )
    seeds = tqdm(config.seeds, desc=f"finetune {job.method}", disable=None)
    records = [one_seed(job, seed, folder) for seed in seeds]
    write_results(records, folder)
    show(records, folder, config.format)
    good = [record for record in records if record["status"] == "ok"]
    if good:
        print(
            f"network of seed {good[0]['seed']}: {folder / good[0]['model']}\n"
            f"tables and curves: {folder}",
            file=sys.stderr,
        )
    return 0 if len(good) == len(records) else FAILED_CELLS


def one_seed(job: Job, seed: int, folder: Path) -> dict[str, Any]:
    """Fine-tune with one seed, or read back what was finished with these options."""
    path = folder / "cells" / f"seed-{seed}.json"
    key = digest(job.key, seed)
    name = f"seed-{seed}/{MODEL}"
    try:
        kept = read_json(path)
        if kept["key"] == key and kept["status"] == "ok":
            load_model(folder / name)
            return kept
    except (FileNotFoundError, DataError):
        pass
    record: dict[str, Any] = {"key": key, "seed": seed, "method": job.method}
    started = time.perf_counter()
    try:
        with warnings.catch_warnings():  # classes without a shot are in the table
            warnings.simplefilter("ignore", ScoreWarning)
            result = transfer(job, seed)
    except FloatingPointError as error:  # diverged; the other seeds may not
        record |= {"status": "failed", "error": str(error)}
        if isinstance(error, DivergedError):
            save_model(folder / name, error.trained)
            record |= {"model": name}
    else:
        save_model(folder / name, result.trained)
        assert result.evaluation is not None  # there is a test set
        record |= {
            "status": "ok",
            "model": name,
            "head": result.head,
            "best_step": result.best_step,
            "missing": result.missing,
            "evaluation": result.evaluation.to_dict(),
            "curves": result.curves,
        }
        if isinstance(result, GuidedResult):
            record["alignment"] = result.alignment
            record["source_accuracy"] = result.source_accuracy
            record["alignment_stopped"] = result.stopped
    record["seconds"] = time.perf_counter() - started
    write_json(path, record)
    return strict(record)


def transfer(job: Job, seed: int) -> FinetuneResult:
    """Fine-tune by the method that was asked for."""
    shots = job.pool.shots(job.shots, seed=seed)
    options: dict[str, Any] = {
        "test": job.test,
        "recipe": dataclasses.replace(job.recipe, seed=seed),
        "held_out": job.held_out,
    }
    if job.method == "otce":
        options["guide"] = job.guide
        return guided_finetune(job.source, job.source_data, shots, **options)
    if job.method == "weighted":
        return weighted_finetune(job.source, shots, **options)
    if job.method == "scratch":
        return finetune(_fresh(job.source, seed), shots, **options)
    return finetune(job.source, shots, mode=job.method, **options)


def _fresh(source: TrainedModel, seed: int) -> TrainedModel:
    """Return the same architecture with initial weights."""
    card = source.card
    model = create_model(card.architecture, key=jax.random.key(seed), **card.config)
    return TrainedModel(model, card)


def _job(config: Any) -> Job:
    """Check the options and open what they name."""
    _check(config)
    source = open_model(config.source)
    size = config.size or source.card.input_size
    pool = spec_of(config, config.target, size=size, shots=None).load()
    if config.test is None:
        pool, test = pool.split(POOL, seed=0)
    else:
        test = spec_of(config, config.test, size=size, shots=None).load()
    if config.shots > len(pool):
        raise ValueError(
            f"--shots: {config.shots} asked of {pool.name}, which has {len(pool)} "
            "images to draw from"
        )
    data = _source_data(config, size) if config.method == "otce" else None
    given = {
        name: getattr(config, name)
        for name in ("steps", "batch_size", "learning_rate")
        if getattr(config, name) is not None
    }
    if config.method == "scratch":  # fresh weights want a rate to train with
        given = {"learning_rate": Recipe().learning_rate, **given}
    recipe = dataclasses.replace(FINETUNE, **given)
    guide = default_guide(pool)
    if config.alignment_steps is not None:
        guide = dataclasses.replace(guide, steps=config.alignment_steps)
    key = digest(
        arrays_digest({k: np.asarray(v) for k, v in flatten(source.model).items()}),
        dataclasses.asdict(source.card),
        pool.fingerprint, test.fingerprint, None if data is None else data.fingerprint,
        config.method, config.shots, config.held_out, recipe.to_dict(),
        dataclasses.asdict(guide),
    )  # fmt: skip
    return Job(
        source, data, pool, test, config.method, config.shots, recipe, guide,
        config.held_out, key,
    )  # fmt: skip


def _check(config: Any) -> None:
    method = config.method
    if method not in METHODS and not method.startswith("last-"):
        raise ValueError(
            f"--method: unknown {method!r}; available: {', '.join(METHODS)}"
        )
    if not config.seeds or len(set(config.seeds)) < len(config.seeds):
        raise ValueError("--seeds: name at least one, and none twice")
    if config.shots < 1:
        raise ValueError(f"--shots: {config.shots} must be at least 1")
    for name in ("source_data", "source_root", "alignment_steps"):
        if getattr(config, name) is not None and method != "otce":
            option = name.replace("_", "-")
            raise ValueError(f"--{option}: only the method otce looks at it")
    if min(config.seeds) < 0:
        raise ValueError(f"--seeds: {min(config.seeds)} must not be negative")
    if not Path(config.source).exists():
        raise FileNotFoundError(
            f"--source: {config.source}: no such file or folder; name a run folder of "
            "trfjax train. To make one: trfjax train --data synthetic:arden --out "
            "runs/arden"
        )


def _source_data(config: Any, size: tuple[int, int]) -> Dataset:
    """Return what the source was trained on, for the guided method."""
    if config.source_data is not None:
        root = config.source_root or config.root
        spec = DataSpec(name=config.source_data, root=root, labels=config.labels)
    else:
        path = Path(config.source)
        folder = path if path.is_dir() else path.parent
        if not (folder / CONFIG).is_file():
            raise DataError(
                path,
                f"lies beside no {CONFIG}, so the data it was trained on is not known; "
                "the method otce needs it. Name it with --source-data, or choose "
                "another --method.",
            )
        spec = training_data(folder)
    return msgspec.structs.replace(spec, size=size).load()

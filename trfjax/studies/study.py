"""One study from end to end: train sources, rank them, measure what really transfers.

Everything is kept in a folder and read back by a second run with the same options.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from trfjax.data.dataset import Dataset
from trfjax.errors import DataError
from trfjax.files import digest, read_json, write_json
from trfjax.models.checkpoint import load_model
from trfjax.ranking.rank import Source, rank
from trfjax.ranking.result import Ranking
from trfjax.scores import DEFAULT
from trfjax.state import ModelCard, TrainedModel
from trfjax.studies.runs import MODEL, DataSpec
from trfjax.studies.sources import train_to
from trfjax.training.recipe import Recipe
from trfjax.transfer.empirical import MEASURES, empirical_transferability
from trfjax.transfer.start import FINETUNE

log = logging.getLogger("trfjax")

Measured = dict[str, dict[str, list[float]]]  # by source and measure, one per seed


@dataclasses.dataclass(frozen=True)
class Study:
    """What is trained on what, and what it is to be transferred to."""

    sources: Mapping[str, DataSpec]
    target: DataSpec  # images the labelled few are drawn from
    test: DataSpec  # images of other scenes, that transfer is measured on
    size: tuple[int, int]
    model: str = "unet"
    width: int = 8
    shots: int = 20
    recipe: Recipe = dataclasses.field(default_factory=Recipe)
    finetune: Recipe = FINETUNE
    seeds: tuple[int, ...] = (0, 1)  # of the shots and the fine-tuning
    metrics: tuple[str, ...] = DEFAULT
    pixels: int | Literal["all"] = "all"
    repeats: int = 10
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a study found."""

    ranking: Ranking
    measured: Measured
    own: dict[str, float]  # mIoU of every source on its own held-out images
    unchanged: dict[str, float]  # accuracy on the test images without fine-tuning
    timings: dict[str, float]  # seconds; what was read back counts as when it was made


Tell = Callable[[str], None]


def run_study(study: Study, folder: Path, tell: Tell = log.info) -> Outcome:
    """Run a study, or what is left of it; `tell` hears what was found, in words."""
    pool, test = (spec.load() for spec in (study.target, study.test))
    trained, data, own, seconds = {}, {}, {}, {}
    for i, (name, spec) in enumerate(study.sources.items()):
        data[name] = spec.load()
        trained[name], facts = _source(study, name, spec, data[name], folder, i)
        own[name], seconds[name] = facts["miou"], facts["seconds"]
        tell(
            f"  {name:12} {len(data[name]):4} images, mIoU {own[name]:.3f} on held-out "
            f"images of its own, {seconds[name]:.0f} s"
        )
    started = time.perf_counter()
    shots = pool.shots(study.shots, seed=study.seeds[0])
    ranking = rank(
        [Source(name, trained[name], data[name]) for name in trained], shots,
        metrics=study.metrics, pixels=study.pixels, repeats=study.repeats,
        seed=study.seed, out=folder / "ranking", cache=folder / "features",
    )  # fmt: skip
    ranking_seconds = _first_time(
        folder / "ranking" / "seconds.json", time.perf_counter() - started,
        digest(ranking.settings, *(sorted(trained))),
    )  # fmt: skip
    tell(f"\n{ranking}\n")
    measured, unchanged, measuring = _measure(study, trained, pool, test, folder, tell)
    timings = {
        "train sources": sum(seconds.values()),
        "rank": ranking_seconds,
        "fine-tune and test": measuring,
    }
    return Outcome(ranking, measured, own, unchanged, timings)


def _source(
    study: Study,
    name: str,
    spec: DataSpec,
    data: Dataset,
    folder: Path,
    index: int,
) -> tuple[TrainedModel, dict[str, float]]:
    """Train a source, or read it back when it was made with the same options."""
    place = folder / "sources" / name
    recipe = dataclasses.replace(study.recipe, seed=study.seed + index)
    card = ModelCard(
        name=name, architecture=study.model,
        config={"num_classes": data.num_classes, "width": study.width},
        class_names=data.class_names, input_size=study.size, ignore=data.ignore,
        trained_on=data.name,
    )  # fmt: skip
    key = digest(
        msgspec.to_builtins(spec), dataclasses.asdict(recipe), dataclasses.asdict(card),
        data.fingerprint,
    )  # fmt: skip
    try:
        facts = read_json(place / "done.json")
        if facts["key"] == key:
            return load_model(place / MODEL), facts
    except (FileNotFoundError, DataError):
        pass
    started = time.perf_counter()
    train, held_out = data.split(0.9, seed=study.seed)
    trained, evaluation = train_to(place, card, train, held_out, recipe)
    facts = {
        "key": key,
        "miou": evaluation.miou,
        "accuracy": evaluation.accuracy,
        "seconds": time.perf_counter() - started,
    }
    write_json(place / "done.json", facts)
    return trained, facts


def _first_time(path: Path, seconds: float, key: str) -> float:
    """Return how long a step took when it was done, not when it was read back."""
    if path.is_file():
        kept = read_json(path)
        if kept["key"] == key:
            return kept["seconds"]
    write_json(path, {"key": key, "seconds": seconds})
    return seconds


def _measure(
    study: Study,
    trained: Mapping[str, TrainedModel],
    pool: Dataset,
    test: Dataset,
    folder: Path,
    tell: Tell,
) -> tuple[Measured, dict[str, float], float]:
    """Fine-tune every source with every seed and test it on other images."""
    from trfjax.training.evaluate import evaluate

    measured: Measured = {}
    unchanged: dict[str, float] = {}
    seconds = 0.0
    for name, model in trained.items():
        path = folder / "measured" / f"{name}.json"
        made = read_json(folder / "sources" / name / "done.json")["key"]
        key = digest(
            made, study.shots, study.seeds, dataclasses.asdict(study.finetune),
            pool.fingerprint, test.fingerprint,
        )  # fmt: skip
        if not path.is_file() or read_json(path)["key"] != key:
            started = time.perf_counter()
            found = empirical_transferability(
                model, pool, test,
                shots=study.shots, seeds=study.seeds, recipe=study.finetune,
            )  # fmt: skip
            plain = evaluate(model.model, model.card, test)
            write_json(
                path,
                {
                    "key": key,
                    "seconds": time.perf_counter() - started,
                    "unchanged": plain.accuracy,
                    **{m: found.values(m).mean(axis=1).tolist() for m in MEASURES},
                },
            )
        kept = read_json(path)
        measured[name] = {m: kept[m] for m in MEASURES}
        unchanged[name] = kept["unchanged"]
        seconds += kept["seconds"]
        values = {m: np.array(kept[m]) for m in MEASURES}
        tell(
            f"  {name:12} accuracy {unchanged[name]:.3f} -> "
            f"{values['accuracy'].mean():.3f} +- {np.ptp(values['accuracy']) / 2:.3f}, "
            f"mIoU {values['miou'].mean():.3f}, "
            f"log-likelihood {values['log_likelihood'].mean():.3f}"
        )
    return measured, unchanged, seconds

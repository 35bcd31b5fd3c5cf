"""One study from end to end: train sources, rank them, measure what really transfers.

Everything is kept in a folder and read back by a second run with the same options.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from trfjax.data.dataset import Dataset
from trfjax.ranking.rank import Source, rank
from trfjax.ranking.result import Ranking, read_ranking
from trfjax.ranking.run import VERSION
from trfjax.scores import DEFAULT
from trfjax.state import ModelCard
from trfjax.store import Made, Store, read_record
from trfjax.studies.sources import SourceRun, Training, train_source
from trfjax.studies.specs import DataSpec
from trfjax.training.evaluate import evaluate
from trfjax.training.recipe import Recipe
from trfjax.transfer.empirical import MEASURES, empirical_transferability
from trfjax.transfer.start import FINETUNE

Measured = dict[str, dict[str, list[float]]]  # by source and measure, one per seed


@dataclasses.dataclass(frozen=True, kw_only=True)
class Study:
    """The plan of a study: what is trained on what, and transferred to what."""

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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """The findings of a study."""

    ranking: Ranking
    measured: Measured
    source_miou: dict[str, float]  # of every source on held-out images of its own
    unchanged: dict[str, float]  # accuracy on the test images without fine-tuning
    timings: dict[str, float]  # seconds; what was read back counts as when it was made


@dataclasses.dataclass(frozen=True)
class SourceReady:
    """Progress: a source is trained."""

    name: str
    images: int
    run: SourceRun


@dataclasses.dataclass(frozen=True)
class TransferMeasured:
    """Progress: a source was fine-tuned with every seed."""

    name: str
    unchanged: float  # accuracy without fine-tuning
    values: dict[str, list[float]]  # by measure, one per seed


Progress = Callable[[SourceReady | Ranking | TransferMeasured], Any]


def run_study(
    study: Study, folder: Path, progress: Progress = lambda _: None
) -> Outcome:
    """Run a study, or what is left of it.

    Args:
        study: what is trained, ranked and measured.
        folder: where everything is kept.
        progress: hears of every part when it is done.

    Returns:
        What was found; it is kept as `outcome.json` too.
    """
    pool, test = (spec.load() for spec in (study.target, study.test))
    runs, data = {}, {}
    for name, spec in study.sources.items():
        data[name] = spec.load()
        runs[name] = study_source(study, name, data[name], folder)
        progress(SourceReady(name, len(data[name]), runs[name]))
    ranking, ranking_seconds = _rank(study, runs, data, pool, folder)
    progress(ranking)
    measured: Measured = {}
    unchanged, seconds = {}, 0.0
    for name, run in runs.items():
        found, spent = _measure(study, name, run, (pool, test), folder)
        measured[name], unchanged[name] = found.values, found.unchanged
        seconds += spent
        progress(found)
    outcome = Outcome(
        ranking=ranking,
        measured=measured,
        source_miou={name: run.evaluation["miou"] for name, run in runs.items()},
        unchanged=unchanged,
        timings={
            "train sources": sum(run.seconds for run in runs.values()),
            "rank": ranking_seconds,
            "fine-tune and test": seconds,
        },
    )
    _keep_outcome(study, outcome, folder)
    return outcome


def read_outcome(folder: Path) -> dict[str, Any] | None:
    """Return what a study kept beside its ranking; None where there is no study.

    `measured`, `source_miou`, `unchanged` and `timings`, as in `Outcome`.

    Raises:
        DataError: a file that is damaged.
    """
    path = folder / "outcome.json"
    return read_record(path).value if path.is_file() else None


def _keep_outcome(study: Study, outcome: Outcome, folder: Path) -> None:
    names = [field.name for field in dataclasses.fields(outcome)]
    value = {name: getattr(outcome, name) for name in names if name != "ranking"}
    Store(folder).put(msgspec.to_builtins(study), Made(value=value), name="outcome")


def study_source(study: Study, name: str, data: Dataset, folder: Path) -> SourceRun:
    """Train a source of a study, or read it back if it was made with the same options.

    Args:
        study: that has a source of this name.
        name: of the source.
        data: its images; nine tenths are trained on.
        folder: of the study.
    """
    index = list(study.sources).index(name)
    card = ModelCard(
        name=name,
        architecture=study.model,
        config={"num_classes": data.num_classes, "width": study.width},
        class_names=data.class_names,
        input_size=study.size,
        ignore=data.ignore,
        trained_on=data.name,
    )
    part, held_out = data.split(0.9, seed=study.seed)
    training = Training(
        card=card,
        data=part,
        test=held_out,
        recipe=dataclasses.replace(study.recipe, seed=study.seed + index),
        spec=study.sources[name],
    )
    return train_source(folder / "sources" / name, training)


def _rank(
    study: Study,
    runs: Mapping[str, SourceRun],
    data: Mapping[str, Dataset],
    pool: Dataset,
    folder: Path,
) -> tuple[Ranking, float]:
    """Rank the sources, or read the ranking back; return its seconds too."""
    shots = pool.shots(study.shots, seed=study.seeds[0])
    settings: dict[str, Any] = {
        "metrics": study.metrics,
        "pixels": study.pixels,
        "repeats": study.repeats,
        "seed": study.seed,
    }
    key = {
        "sources": {name: run.key for name, run in runs.items()},
        "shots": shots.fingerprint,
        "version": VERSION,
        **settings,
    }
    place = folder / "ranking"

    def work() -> Made:
        sources = [Source(name, runs[name].trained, data[name]) for name in runs]
        rank(sources, shots, out=place, cache=folder / "features", **settings)
        return Made(files=("results.json",))

    record = Store(place).keep(key, work, name="ranking")
    return read_ranking(place / "results.json"), record.seconds


def _measure(
    study: Study,
    name: str,
    run: SourceRun,
    target: tuple[Dataset, Dataset],
    folder: Path,
) -> tuple[TransferMeasured, float]:
    """Fine-tune a source with every seed and test it on other images."""
    pool, test = target
    key = {
        "source": run.key,
        "shots": study.shots,
        "seeds": study.seeds,
        "finetune": study.finetune.to_dict(),
        "pool": pool.fingerprint,
        "test": test.fingerprint,
    }

    def work() -> Made:
        found = empirical_transferability(
            run.trained,
            pool,
            test,
            shots=study.shots,
            seeds=study.seeds,
            recipe=study.finetune,
        )
        plain = evaluate(run.trained.model, run.trained.card, test)
        values = {m: np.mean(found.values(m), axis=1) for m in MEASURES}
        return Made(value={"unchanged": plain.accuracy, "values": values})

    record = Store(folder / "measured").keep(key, work, name=name)
    return TransferMeasured(name, **record.value), record.seconds

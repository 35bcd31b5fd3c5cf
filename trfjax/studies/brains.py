"""The study on invented brains: every source to every target, and the scores."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from trfjax.data import Dataset, LabelMap, load_dataset
from trfjax.models import create_model
from trfjax.ranking.rank import Source, rank
from trfjax.state import ModelCard, TrainedModel
from trfjax.store import Made, Record, Store
from trfjax.studies.findings import Measured
from trfjax.studies.problems import Problem, named
from trfjax.training.patients import PatientEvaluation, evaluate_together
from trfjax.training.recipe import Recipe
from trfjax.training.train import train
from trfjax.transfer.finetune import finetune

# All tasks share their class names, so that fine-tuning keeps the head.
CLASSES = ("background", "structure")
METRICS = ("h_score", "otce")
VERSION = 1  # of how records are computed; part of their key


@dataclasses.dataclass(frozen=True)
class Study:
    """The plan of the study: what is trained, transferred to what, and how."""

    sources: tuple[str, ...]  # names of problems
    targets: tuple[str, ...]
    patients: int = 12  # that a source learns from
    shots: int = 3  # labelled patients of a target
    test: int = 8  # patients of a target that transfer is measured on
    side: int = 64  # pixels
    width: int = 8  # of the U-Net
    source_steps: int = 150
    steps: int = 40  # of fine-tuning
    seed: int = 0

    @property
    def recipe(self) -> Recipe:
        """How sources are trained; balanced, since less leaves rims unseen."""
        return Recipe(
            steps=self.source_steps, class_weighting="balanced", seed=self.seed
        )

    @property
    def tuning(self) -> Recipe:
        """How they are fine-tuned."""
        return Recipe(
            steps=self.steps, learning_rate=2e-3, class_weighting="sqrt", seed=self.seed
        )


def _problems(
    tasks: tuple[str, ...], places: tuple[str, ...], modalities: tuple[str, ...]
) -> tuple[str, ...]:
    return tuple(
        Problem(task, place, modality).name
        for place in places
        for modality in modalities
        for task in tasks
    )


_TASKS = ("WT", "TC", "ET", "ED")
_UNRELATED = _problems(("GMWM", "CSF"), ("willow",), ("T1", "T2"))
FULL = Study(
    sources=(
        *_problems(_TASKS, ("alder", "birch"), ("T1", "T1CE", "T2", "FLAIR")),
        *_UNRELATED,
    ),
    targets=(
        *_problems(_TASKS, ("cedar",), ("T1", "FLAIR")),
        *_problems(_TASKS, ("hazel",), ("T1CE", "T2")),
    ),
)
QUICK = Study(
    sources=(*_problems(_TASKS, ("alder",), ("T1CE", "FLAIR")), _UNRELATED[2]),
    targets=_problems(("TC", "ED"), ("cedar",), ("T1CE", "FLAIR")),
    patients=8,
    shots=2,
    test=5,
    width=4,
    source_steps=120,
    steps=20,
)


def run(
    study: Study, folder: Path, *, progress: Callable[[str], Any] = lambda _: None
) -> Iterator[Measured]:
    """Train the sources, transfer each to every target, and yield what was measured.

    A target that is in the folder already, of the same study, is read back.

    Args:
        study: what to do.
        folder: where networks and measurements are kept.
        progress: told what is done.
    """
    store = Store(folder)
    models: dict[str, TrainedModel] = {}
    key = {"version": VERSION, **dataclasses.asdict(study)}
    for name in study.targets:
        found = store.get(key | {"target": name})
        if found is None:
            for source in study.sources:
                if source not in models:
                    progress(f"train {source}")
                    models[source] = learn(named(source), study)
            progress(f"transfer to {name}")
            made = measure(name, models, study)
            found = store.put(key | {"target": name}, Made(value=_plain(made)))
        yield _measured(found)


def problem_data(problem: Problem, study: Study, *, count: int, seed: int) -> Dataset:
    """Return the patients of a problem; every task has the same class names."""
    data = load_dataset(
        f"brains:{problem.institution}/{problem.modality}",
        labels=problem.task,
        count=count,
        size=(study.side, study.side),
        channels=1,
        seed=seed,
    )
    return dataclasses.replace(data, labels=LabelMap(CLASSES))


def target_data(problem: Problem, study: Study) -> tuple[Dataset, Dataset]:
    """Return the labelled patients of a target, and others for the test."""
    count = study.shots + study.test
    data = problem_data(problem, study, count=count, seed=study.seed + 1)
    shots = data.units < study.shots
    return data.select(np.flatnonzero(shots)), data.select(np.flatnonzero(~shots))


def learn(problem: Problem, study: Study) -> TrainedModel:
    """Train a source."""
    fresh = _fresh(problem.name, study)
    data = problem_data(problem, study, count=study.patients, seed=study.seed)
    return train(
        fresh.model, data, card=fresh.card, recipe=study.recipe, progress=False
    ).trained


def _fresh(name: str, study: Study) -> TrainedModel:
    config = {"num_classes": len(CLASSES), "in_channels": 1, "width": study.width}
    card = ModelCard(
        name=name,
        architecture="unet",
        config=config,
        class_names=CLASSES,
        input_size=(study.side, study.side),
        mean=(0.3,),
        std=(0.25,),
        trained_on=f"brains:{name}",
    )
    key = jax.random.key(study.seed)
    return TrainedModel(create_model("unet", key=key, **config), card)


def measure(name: str, models: dict[str, TrainedModel], study: Study) -> Measured:
    """Rank the sources for one target, and fine-tune every one."""
    shots, test = target_data(named(name), study)
    candidates = [
        Source(
            source,
            model,
            problem_data(named(source), study, count=study.shots, seed=study.seed),
        )
        for source, model in models.items()
    ]
    ranking = rank(
        candidates,
        shots,
        metrics=METRICS,
        pixels=2000,
        repeats=2,
        bootstrap=0,
        seed=study.seed,
        progress=False,
    )
    scores = {
        metric: np.array([by_name[source] for source in models])
        for metric in METRICS
        for by_name in [{c.source: c.score for c in ranking.column(metric)}]
    }
    tuned = {
        s: finetune(m, shots, recipe=study.tuning).trained for s, m in models.items()
    }
    first = [cell.source for cell in ranking.column()[:3]]
    scratch = finetune(
        _fresh("scratch", study),
        shots,
        recipe=dataclasses.replace(study.recipe, steps=study.steps),
    ).trained

    def dice(*networks: TrainedModel) -> Float[np.ndarray, " p"]:
        found = evaluate_together([n.model for n in networks], networks[0].card, test)
        return _structure_dice(found)

    return Measured(
        target=name,
        sources=tuple(models),
        dice=np.array([dice(model) for model in tuned.values()]),
        scratch=dice(scratch),
        together=dice(*(tuned[source] for source in first)),
        first=dice(tuned[first[0]]),
        scores=scores,
    )


def _structure_dice(found: PatientEvaluation) -> Float[np.ndarray, " p"]:
    """Return the Dice of every patient; NaN for one who does not have the structure."""
    shown = dict.fromkeys(found.patients, False)
    for series in found.series:
        shown[series.patient] |= bool((series.truth == 1).any())
    return np.where(list(shown.values()), found.dice()[:, 1], np.nan)


def _plain(measured: Measured) -> dict[str, Any]:
    return dataclasses.asdict(measured)


def _measured(record: Record) -> Measured:
    """Return what a record holds; NaN is stored as nothing."""
    value = record.value
    scores = {m: np.array(v, float) for m, v in value["scores"].items()}
    return Measured(
        target=value["target"],
        sources=tuple(value["sources"]),
        dice=np.array(value["dice"], float),
        scratch=np.array(value["scratch"], float),
        together=np.array(value["together"], float),
        first=np.array(value["first"], float),
        scores=scores,
    )

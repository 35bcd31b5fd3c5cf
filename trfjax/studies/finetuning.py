"""Measured fine-tuning: one network, one target, by any method, and its worth."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from trfjax.data.dataset import Dataset
from trfjax.models import create_model
from trfjax.state import TrainedModel
from trfjax.studies.runs import network_key
from trfjax.studies.specs import DataSpec
from trfjax.training.evaluate import Evaluation, evaluate, merged
from trfjax.training.layers import MODES
from trfjax.training.recipe import Recipe
from trfjax.transfer.finetune import FinetuneResult, finetune
from trfjax.transfer.guide import Guide
from trfjax.transfer.guided import guided_finetune
from trfjax.transfer.start import FINETUNE
from trfjax.transfer.weighted import weighted_finetune

Done = Callable[[], object]  # called after each training

METHODS = (*MODES, "scratch", "otce", "weighted")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finetuning:
    """The settings that all seeds of a measured fine-tuning share."""

    source: TrainedModel
    source_data: Dataset | None  # for the method otce
    pool: Dataset  # target images that the shots are drawn from
    test: Dataset | None  # other images of the target, to measure the result on
    method: str
    shots: int
    recipe: Recipe
    guide: Guide | None  # of the method otce
    held_out: float
    spec: DataSpec | None = None  # what the pool is from
    folds: int = 0  # of a cross-validation over the shots, instead of a test set
    compare: bool = False  # measure the source as it is and fresh weights too

    def key(self, seed: int) -> dict[str, Any]:
        """Return everything the result of a seed depends on."""
        data, test = self.source_data, self.test
        known = None
        if test is not None:
            known = {"name": test.name, "fingerprint": test.fingerprint}
        return {
            "command": "finetune",
            **network_key(self.source),
            "source_data": None if data is None else data.fingerprint,
            "pool": {"name": self.pool.name, "fingerprint": self.pool.fingerprint},
            "test": known,
            "folds": self.folds,
            "compare": self.compare,
            "method": self.method,
            "shots": self.shots,
            "recipe": dataclasses.replace(self.recipe, seed=seed).to_dict(),
            "guide": None if self.guide is None else dataclasses.asdict(self.guide),
            "held_out": self.held_out,
        }

    @property
    def target(self) -> str:
        """What the target was asked for by."""
        return self.pool.name if self.spec is None else self.spec.name

    @property
    def trainings(self) -> int:
        """How many networks are trained for a seed."""
        each = 1 + (self.compare and self.method != "scratch")
        return 1 + (each * self.folds if self.folds else each - 1)


def recipe_of(method: str, **options: Any) -> Recipe:
    """Return how the shots are learned by a method.

    Args:
        method: fresh weights want a rate to train with, unless one is given.
        **options: fields of the recipe that are given.
    """
    if method == "scratch":
        options = {"learning_rate": Recipe().learning_rate, **options}
    return dataclasses.replace(FINETUNE, **options)


def transfer(
    work: Finetuning, shots: Dataset, seed: int, test: Dataset | None
) -> FinetuneResult:
    """Fine-tune by the method that was asked for.

    Args:
        work: from what, and how.
        shots: what is learned.
        seed: of the batches, the augmentation and a new head.
        test: images to measure the result on.
    """
    options: dict[str, Any] = {
        "test": test,
        "recipe": dataclasses.replace(work.recipe, seed=seed),
        "held_out": work.held_out,
    }
    if work.method == "otce":
        options["guide"] = work.guide
        return guided_finetune(work.source, work.source_data, shots, **options)
    if work.method == "weighted":
        return weighted_finetune(work.source, shots, **options)
    if work.method == "scratch":
        return finetune(fresh(work.source, seed), shots, **options)
    return finetune(work.source, shots, mode=work.method, **options)


def fresh(source: TrainedModel, seed: int) -> TrainedModel:
    """Return the same architecture with initial weights."""
    card = dataclasses.replace(source.card, trained_on="")
    model = create_model(card.architecture, key=jax.random.key(seed), **card.config)
    return TrainedModel(model, card)


def measure(
    work: Finetuning, shots: Dataset, seed: int, tuned: Evaluation | None, done: Done
) -> dict[str, Any]:
    """Return how the tuned network does, beside the source as it is and fresh weights.

    Args:
        work: what was fine-tuned, and what it is measured on.
        shots: what was learned.
        seed: the same as for the tuned network.
        tuned: its evaluation on the test set, where there is one.
        done: called after each training.

    Returns:
        `evaluation` and `baselines`, by name; None where there are no images to measure
        on, or the source does not know the classes.
    """
    if work.folds:
        tuned = by_folds(work, shots, seed, done)
    if tuned is None:
        return {"evaluation": None, "baselines": {}}
    found: dict[str, Evaluation | None] = {}
    if work.compare:
        on = shots if work.test is None else work.test
        found["as it is"] = as_it_is(work.source, on)
    if work.compare and work.method != "scratch":
        plain = from_scratch(work)
        if work.folds:
            found["scratch"] = by_folds(plain, shots, seed, done)
        else:
            found["scratch"] = transfer(plain, shots, seed, work.test).evaluation
            done()
    baselines = {name: one and one.to_dict() for name, one in found.items()}
    return {"evaluation": tuned.to_dict(), "baselines": baselines}


def from_scratch(work: Finetuning) -> Finetuning:
    """Return the same with fresh weights, at a rate to train them with."""
    rate = Recipe().learning_rate
    return dataclasses.replace(
        work,
        method="scratch",
        recipe=dataclasses.replace(work.recipe, learning_rate=rate),
    )


def as_it_is(source: TrainedModel, data: Dataset) -> Evaluation | None:
    """Return how a network does before any tuning; None: it knows other classes."""
    if not set(data.class_names) <= set(source.card.class_names):
        return None
    return evaluate(source.model, source.card, data)


def by_folds(work: Finetuning, shots: Dataset, seed: int, done: Done) -> Evaluation:
    """Measure on every shot what was learned from the others, a part at a time.

    The shots are cut into as many parts as there are folds, in their order, so that
    neighbours in a sequence, or images of one patient, are left out together.

    Args:
        work: what is fine-tuned, and how.
        shots: images, or groups of them, in at least two parts.
        seed: the same for all folds.
        done: called after each of them.
    """
    units = shots.units
    found = []
    for part in np.array_split(np.unique(units), work.folds):
        left_out = np.isin(units, part)
        rest = shots.select(np.flatnonzero(~left_out))
        test = shots.select(np.flatnonzero(left_out))
        evaluation = transfer(work, rest, seed, test).evaluation
        assert evaluation is not None  # there is a test set
        found.append(evaluation)
        done()
    return merged(found)

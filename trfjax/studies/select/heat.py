"""The runs of a source in a race: one a fold of the shots, taken up where it stood."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from trfjax.data.dataset import Dataset
from trfjax.files import digest
from trfjax.state import SourceModel, TrainedModel
from trfjax.store import Made, Store, file_name
from trfjax.studies.runs import network_key
from trfjax.training.checkpoints import load_state, save_state
from trfjax.training.evaluate import evaluate
from trfjax.training.loop import run
from trfjax.training.loop import start as before_training
from trfjax.training.recipe import Recipe
from trfjax.training.step import State
from trfjax.transfer.start import Finetuning, Start, prepare


@dataclasses.dataclass(frozen=True, eq=False)
class Fold:
    """Shots that are learned, and those that judge."""

    learned: Dataset
    judging: Dataset


def folds_of(shots: Dataset, count: int, *, seed: int) -> tuple[Fold, ...]:
    """Return folds of the shots: every image, or patient, judges once.

    Raises:
        ValueError: fewer images than folds.
    """
    units = shots.units
    there = len(np.unique(units))
    if not 2 <= count <= there:
        raise ValueError(f"folds: {count} of {there} {shots.unit}s; 2 to {there} do")
    part = np.random.default_rng(seed).permutation(there)[units] % count
    return tuple(
        Fold(
            shots.select(np.flatnonzero(part != i), name=f"{shots.name}:fold{i}"),
            shots.select(np.flatnonzero(part == i), name=f"{shots.name}:judge{i}"),
        )
        for i in range(count)
    )


class Heat:
    """The runs of one source, all folds."""

    def __init__(
        self,
        name: str,
        source: TrainedModel,
        folds: tuple[Fold, ...],
        recipe: Recipe,
        out: Path | None,
    ) -> None:
        self.recipe, self.folds = recipe, folds
        self._source, self._out = source, out
        self._name = file_name(name)
        self._runs: dict[int, tuple[Start, Iterator[tuple[State, float]], State]] = {}
        self._key: dict[str, Any] = {}
        if out is not None:
            self._key = {**network_key(source), "recipe": recipe.to_dict()}

    def advance(self, step: int, measured: str) -> Float[np.ndarray, " folds"]:
        """Run on to a step, and return what the judging images say of every fold.

        Args:
            step: of the recipe, further than before.
            measured: `"accuracy"`, `"miou"` or `"log_likelihood"`.
        """
        return np.array([self._fold(i, step, measured) for i in range(len(self.folds))])

    def _fold(self, index: int, step: int, measured: str) -> float:
        if self._out is None:
            return self._run(index, step)[measured]
        judging = self.folds[index].judging.fingerprint
        key = {**self._belongs(index), "judging": judging, "step": step}
        store = Store(self._out / "race")
        record = store.keep(key, lambda: Made(value=self._run(index, step)))
        return float(record.value[measured])

    def _run(self, index: int, step: int) -> dict[str, float]:
        if index not in self._runs:
            self._runs[index] = self._open(index, step)
        begun, steps, state = self._runs[index]
        while int(state.step) < step:
            state, _ = next(steps)
        self._runs[index] = begun, steps, state
        if self._out is not None:
            save_state(self._state(index), state, losses=[], **self._facts(begun))
        model = SourceModel(state.params, state.stats, begun.model.graphdef)
        found = evaluate(model, begun.card, self.folds[index].judging)
        names = ("accuracy", "miou", "log_likelihood")
        return {name: float(getattr(found, name)) for name in names}

    def _open(
        self, index: int, step: int
    ) -> tuple[Start, Iterator[tuple[State, float]], State]:
        """Return a run where it stood in an earlier process, or at its start."""
        settings = Finetuning(recipe=self.recipe)
        begun = prepare(self._source, self.folds[index].learned, settings)
        state = before_training(begun.model, self.recipe, trainable=begun.layers)
        if self._out is not None and self._state(index).exists():
            kept, _ = load_state(self._state(index), state, **self._facts(begun))
            state = kept if int(kept.step) <= step else state
        steps = run(
            state,
            begun.shots,
            graphdef=begun.model.graphdef,
            card=begun.card,
            recipe=self.recipe,
            trainable=begun.layers,
            class_weights=begun.class_weights,
        )
        return begun, steps, state

    def _facts(self, begun: Start) -> dict[str, Any]:
        return {"recipe": self.recipe, "card": begun.card, "dataset": begun.shots}

    def _belongs(self, index: int) -> dict[str, Any]:
        return {**self._key, "learned": self.folds[index].learned.fingerprint}

    def _state(self, index: int) -> Path:
        assert self._out is not None
        stem = f"{self._name}-{digest(self._belongs(index))[:12]}"
        return self._out / "states" / f"{stem}.safetensors"

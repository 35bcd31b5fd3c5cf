"""Source networks, each trained into a run folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import jax
import msgspec

from trfjax.data.dataset import Dataset
from trfjax.errors import DataError
from trfjax.models import create_model
from trfjax.models.checkpoint import load_model, save_model
from trfjax.state import ModelCard, TrainedModel
from trfjax.store import Made, Store, read_record
from trfjax.studies.runs import CONFIG, MODEL, RUN, STATE, differences, write_config
from trfjax.studies.specs import DataSpec
from trfjax.training.recipe import Recipe
from trfjax.training.train import train


@dataclasses.dataclass(frozen=True, kw_only=True)
class Training:
    """The data and the recipe of a source network."""

    card: ModelCard
    data: Dataset
    test: Dataset  # images of other scenes, that it is evaluated on
    recipe: Recipe
    spec: DataSpec | None = None  # what `data` is from, for those who open it again
    options: Any = None  # of the command, kept as config.yaml

    @property
    def key(self) -> dict[str, Any]:
        """Everything the network depends on."""
        return {
            "command": "train",
            "data": {"name": self.data.name, "fingerprint": self.data.fingerprint},
            "test": {"name": self.test.name, "fingerprint": self.test.fingerprint},
            "images": len(self.data),
            "card": dataclasses.asdict(self.card),
            "recipe": self.recipe.to_dict(),
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class SourceRun:
    """A trained source network, and what its run folder says of it."""

    trained: TrainedModel
    key: dict[str, Any]
    evaluation: dict[str, Any]  # of `Evaluation.to_dict`
    seconds: float


def train_source(
    folder: str | Path,
    training: Training,
    *,
    resume: bool = False,
    checkpoint_every: int = 100,
    progress: bool = True,
) -> SourceRun:
    """Train a network into a folder, or read it back if it was made like this.

    Args:
        folder: the run folder.
        training: what is trained, on what, and how.
        resume: go on from the last checkpoint in the folder.
        checkpoint_every: steps between two checkpoints.
        progress: show a bar on standard error.

    Raises:
        DataError: a checkpoint that belongs to another run.
        DivergedError: the loss is no longer finite.
    """
    folder = Path(folder)

    def work() -> Made:
        card = training.card
        key = jax.random.key(training.recipe.seed)
        result = train(
            create_model(card.architecture, key=key, **card.config),
            training.data,
            card=card,
            recipe=training.recipe,
            checkpoint=folder / STATE,
            resume=resume,
            checkpoint_every=checkpoint_every,
            evaluate_on=training.test,
            progress=progress,
        )
        assert result.evaluation is not None  # there is a test set
        save_model(folder / MODEL, result.trained)
        files = [MODEL]
        if training.options is not None:
            write_config(folder, training.options)
            files.append(CONFIG)
        spec = None if training.spec is None else msgspec.to_builtins(training.spec)
        value = {
            "data": spec,
            "evaluation": result.evaluation.to_dict(),
            "history": result.history,
        }
        return Made(value=value, files=tuple(files))

    record = Store(folder).keep(training.key, work, name=RUN)
    return SourceRun(
        trained=load_model(folder / MODEL),
        key=record.key,
        evaluation=record.value["evaluation"],
        seconds=record.seconds,
    )


def make_room(
    folder: Path, training: Training, *, resume: bool = False, overwrite: bool = False
) -> None:
    """See to it that a training takes nothing away that was not given up.

    Args:
        folder: the run folder.
        training: what is to be trained there.
        resume: going on is wanted; more steps than before extend a run.
        overwrite: what is there may go; it does so at once.

    Raises:
        DataError: the folder holds a finished run or another one.
    """
    kept = [name for name in (f"{RUN}.json", MODEL, STATE) if (folder / name).exists()]
    if overwrite and not resume:
        for name in (*kept, CONFIG):
            (folder / name).unlink(missing_ok=True)
        return
    if kept and not resume:
        state = "an unfinished run" if kept == [STATE] else "a finished run"
        more = "" if kept == [STATE] else " and more --steps"
        raise DataError(
            folder,
            f"holds {state}. Go on with --resume{more}, start over with --overwrite, "
            "or choose another --out.",
        )
    if f"{RUN}.json" in kept:
        _check_same(folder, training)


def _check_same(folder: Path, training: Training) -> None:
    """Refuse to go on with a finished run in another way than with more steps."""
    try:
        saved = read_record(folder / f"{RUN}.json").key
    except DataError:  # damaged: made again from the checkpoint, which is compared too
        return
    changes = [
        change
        for change in differences(saved, training.key)
        if not change.startswith("recipe.steps ")
    ]
    before = saved.get("recipe", {}).get("steps", 0)
    if before > training.recipe.steps:
        changes.append(
            f"it has {before} steps already, more than {training.recipe.steps}"
        )
    if changes:
        raise DataError(
            folder,
            f"holds another run: {'; '.join(changes[:3])}. Choose another --out, or "
            "start over with --overwrite and without --resume.",
        )

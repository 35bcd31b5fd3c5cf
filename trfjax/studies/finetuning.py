"""Measured fine-tuning: one network, one target, one run folder for every seed."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import msgspec
import numpy as np

from trfjax.data.dataset import Dataset
from trfjax.errors import DataError, ScoreWarning
from trfjax.models import create_model
from trfjax.models.checkpoint import save_model
from trfjax.state import TrainedModel
from trfjax.store import Made, Store, read_record
from trfjax.studies.runs import MODEL, RUN, differences
from trfjax.studies.specs import DataSpec
from trfjax.training.layers import MODES
from trfjax.training.loop import DivergedError
from trfjax.training.recipe import Recipe
from trfjax.transfer.finetune import FinetuneResult, finetune
from trfjax.transfer.guide import Guide
from trfjax.transfer.guided import GuidedResult, guided_finetune
from trfjax.transfer.weighted import weighted_finetune
from trfjax.trees import arrays_digest, flatten

METHODS = (*MODES, "scratch", "otce", "weighted")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finetuning:
    """What every seed of a measured fine-tuning shares."""

    source: TrainedModel
    source_data: Dataset | None  # for the method otce
    pool: Dataset  # target images that the shots are drawn from
    test: Dataset
    method: str
    shots: int
    recipe: Recipe
    guide: Guide | None  # of the method otce
    held_out: float
    spec: DataSpec | None = None  # what the pool is from

    def key(self, seed: int) -> dict[str, Any]:
        """Return everything the result of a seed depends on."""
        weights = {k: np.asarray(v) for k, v in flatten(self.source.model).items()}
        data = self.source_data
        return {
            "command": "finetune",
            "source": arrays_digest(weights),
            "card": dataclasses.asdict(self.source.card),
            "source_data": None if data is None else data.fingerprint,
            "pool": {"name": self.pool.name, "fingerprint": self.pool.fingerprint},
            "test": {"name": self.test.name, "fingerprint": self.test.fingerprint},
            "method": self.method,
            "shots": self.shots,
            "recipe": dataclasses.replace(self.recipe, seed=seed).to_dict(),
            "guide": None if self.guide is None else dataclasses.asdict(self.guide),
            "held_out": self.held_out,
        }


def finetune_seed(work: Finetuning, seed: int, folder: str | Path) -> dict[str, Any]:
    """Fine-tune with one seed, or read back what was finished with these settings.

    Args:
        work: what is fine-tuned, to what, and how.
        seed: of the shots, the batches, the augmentation and a new head.
        folder: of all seeds; the network goes to the run folder `seed-<seed>` in it.

    Returns:
        What the seed came to; `status` is `"ok"` or `"failed"`. A seed that failed
        before is tried again.
    """
    place = Path(folder) / f"seed-{seed}"
    record = Store(place).keep(
        work.key(seed), lambda: _work(work, seed, place), name=RUN, retry_failed=True
    )
    status = {"status": "failed", "error": record.error} if record.failed else {}
    return {
        "seed": seed,
        "method": work.method,
        "status": "ok",
        **({"model": f"seed-{seed}/{MODEL}"} if record.files else {}),
        **record.value,
        **status,
        "seconds": record.seconds,
    }


def make_room(
    work: Finetuning, seeds: Sequence[int], folder: Path, *, overwrite: bool = False
) -> None:
    """See to it that no network of other settings is replaced.

    Args:
        work: what is fine-tuned, to what, and how.
        seeds: those wanted; finished ones of the same settings are read back.
        folder: of all seeds.
        overwrite: what is in the way may go; it does so at once.

    Raises:
        DataError: the folder holds fine-tuning of other settings.
    """
    for path in sorted(folder.glob(f"seed-*/{RUN}.json")):
        try:
            saved = read_record(path).key
        except DataError:  # damaged: made again
            continue
        same = work.key(saved.get("recipe", {}).get("seed", 0))
        changes = list(differences(saved, same))
        if changes and overwrite:
            path.unlink()
            (path.parent / MODEL).unlink(missing_ok=True)
        elif changes:
            raise DataError(
                folder,
                f"holds another fine-tuning: {'; '.join(changes[:3])}. Choose another "
                "--out, or start over with --overwrite.",
            )


def transfer(work: Finetuning, seed: int) -> FinetuneResult:
    """Fine-tune by the method that was asked for."""
    shots = work.pool.shots(work.shots, seed=seed)
    options: dict[str, Any] = {
        "test": work.test,
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
    card = source.card
    model = create_model(card.architecture, key=jax.random.key(seed), **card.config)
    return TrainedModel(model, card)


def _work(work: Finetuning, seed: int, place: Path) -> Made:
    """Fine-tune and write the network; a diverged one leaves its last good state."""
    try:
        with warnings.catch_warnings():  # classes without a shot are in the table
            warnings.simplefilter("ignore", ScoreWarning)
            result = transfer(work, seed)
    except DivergedError as error:  # the other seeds may not
        save_model(place / MODEL, error.trained)
        return Made(value={}, files=(MODEL,), error=str(error))
    except FloatingPointError as error:
        return Made(value={}, error=str(error))
    save_model(place / MODEL, result.trained)
    return Made(value=_facts(work, result), files=(MODEL,))


def _facts(work: Finetuning, result: FinetuneResult) -> dict[str, Any]:
    """Return what a finished seed says of itself."""
    assert result.evaluation is not None  # there is a test set
    facts: dict[str, Any] = {
        "data": None if work.spec is None else msgspec.to_builtins(work.spec),
        "head": result.head,
        "best_step": result.best_step,
        "missing": result.missing,
        "evaluation": result.evaluation.to_dict(),
        "curves": result.curves,
    }
    if isinstance(result, GuidedResult):
        facts["alignment"] = result.alignment
        facts["source_accuracy"] = result.source_accuracy
        facts["alignment_stopped"] = result.stopped
    return facts

"""Fine-tuned networks and what was measured of them, kept in a run folder a seed."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from trfjax.errors import ScoreWarning
from trfjax.models.checkpoint import save_model
from trfjax.state import TrainedModel
from trfjax.store import Made, Store
from trfjax.studies.finetuning import Done, Finetuning, measure, transfer
from trfjax.studies.runs import MODEL, RUN, clear_or_refuse
from trfjax.training.loop import DivergedError
from trfjax.transfer.finetune import FinetuneResult
from trfjax.transfer.guided import GuidedResult


def finetune_seed(
    work: Finetuning, seed: int, folder: str | Path, *, done: Done | None = None
) -> dict[str, Any]:
    """Fine-tune with one seed, or read back what was finished with these settings.

    Args:
        work: what is fine-tuned, to what, and how.
        seed: of the shots, the batches, the augmentation and a new head.
        folder: of all seeds; the network goes to the run folder `seed-<seed>` in it.
        done: called after each training, those that only measure too.

    Returns:
        What the seed came to; `status` is `"ok"` or `"failed"`. A seed that failed
        before is tried again.
    """
    place = Path(folder) / f"seed-{seed}"
    record = Store(place).keep(
        work.key(seed),
        lambda: _work(work, seed, place, done or (lambda: None)),
        name=RUN,
        retry_failed=True,
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
        clear_or_refuse(
            path,
            lambda saved: work.key(saved.get("recipe", {}).get("seed", 0)),
            folder=folder,
            held="another fine-tuning",
            overwrite=overwrite,
        )


def _work(work: Finetuning, seed: int, place: Path, done: Done) -> Made:
    """Fine-tune and write the network; a diverged one leaves its last good state."""
    shots = work.pool.shots(work.shots, seed=seed)
    try:
        with warnings.catch_warnings():  # classes without a shot are in the table
            warnings.simplefilter("ignore", ScoreWarning)
            result = transfer(work, shots, seed, work.test)
            done()
            measured = measure(work, shots, seed, result.evaluation, done)
    except DivergedError as error:  # the other seeds may not
        save_model(place / MODEL, error.trained)
        return Made(value={}, files=(MODEL,), error=str(error))
    except FloatingPointError as error:
        return Made(value={}, error=str(error))
    card = dataclasses.replace(
        result.trained.card, name=f"{work.source.card.name} to {work.target} {seed}"
    )
    save_model(place / MODEL, TrainedModel(result.trained.model, card))
    return Made(value={**_facts(work, result), **measured}, files=(MODEL,))


def _facts(work: Finetuning, result: FinetuneResult) -> dict[str, Any]:
    """Return what a finished seed says of itself."""
    facts: dict[str, Any] = {
        "data": None if work.spec is None else msgspec.to_builtins(work.spec),
        "head": result.head,
        "best_step": result.best_step,
        "missing": result.missing,
        "curves": result.curves,
    }
    if isinstance(result, GuidedResult):
        facts["alignment"] = result.alignment
        facts["source_accuracy"] = result.source_accuracy
        facts["alignment_stopped"] = result.stopped
    return facts

"""Measured adaptation: one network, one target, methods and seeds in one folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from trfjax.adaptation import get_method
from trfjax.adaptation.adapt import adapt
from trfjax.data.dataset import Dataset
from trfjax.models.checkpoint import save_model
from trfjax.state import TrainedModel
from trfjax.store import Made, Store
from trfjax.studies.runs import MODEL, RUN, STATE, clear_or_refuse, network_key
from trfjax.studies.specs import DataSpec
from trfjax.training.loop import DivergedError
from trfjax.training.recipe import Recipe


@dataclasses.dataclass(frozen=True, kw_only=True)
class Adapting:
    """The settings that all methods and seeds of a measured adaptation share."""

    source: TrainedModel
    source_data: Dataset
    target: Dataset  # adapted to, without its labels
    test: Dataset | None  # reported on
    recipe: Recipe
    validator: str
    resume: bool
    spec: DataSpec | None = None  # what the target is from

    def key(self, method: str, seed: int) -> dict[str, Any]:
        """Return everything the result of a method and seed depends on."""
        test = self.test
        return {
            "command": "adapt",
            **network_key(self.source),
            "source_data": self.source_data.fingerprint,
            "target": self.target.fingerprint,
            "test": None if test is None else test.fingerprint,
            "method": method,
            "settings": repr(get_method(method)),
            "recipe": dataclasses.replace(self.recipe, seed=seed).to_dict(),
            "validator": self.validator,
        }


def adapt_run(work: Adapting, method: str, seed: int, folder: Path) -> dict[str, Any]:
    """Adapt by one method with one seed, or read back what was finished.

    Args:
        work: what is adapted, to what.
        method: a name of `METHODS`.
        seed: of the batches, the augmentation, and heads.
        folder: of all; the network goes to `<method>/seed-<seed>` in it.

    Returns:
        What it came to; `status` is `"ok"` or `"failed"`. What failed before is tried
        again.
    """
    name = f"{method}/seed-{seed}"
    place = folder / name
    record = Store(place).keep(
        work.key(method, seed),
        lambda: _work(work, method, seed, place),
        name=RUN,
        retry_failed=True,
    )
    status = {"status": "failed", "error": record.error} if record.failed else {}
    return {
        "method": method,
        "seed": seed,
        "status": "ok",
        **({"model": f"{name}/{MODEL}"} if record.files else {}),
        **record.value,
        **status,
    }


def make_room(
    work: Adapting,
    methods: Sequence[str],
    seeds: Sequence[int],
    folder: Path,
    *,
    overwrite: bool = False,
) -> None:
    """See to it that no network of other settings is replaced.

    Args:
        work: what is adapted, to what.
        methods: those wanted.
        seeds: those wanted; finished ones of the same settings are read back.
        folder: of all.
        overwrite: what is in the way may go; it does so at once.

    Raises:
        DataError: the folder holds an adaptation of other settings.
    """
    for method, seed in ((m, s) for m in methods for s in seeds):
        place = folder / method / f"seed-{seed}"
        path = place / f"{RUN}.json"
        if overwrite and not work.resume:
            (place / STATE).unlink(missing_ok=True)
        if path.is_file():
            now = work.key(method, seed)
            clear_or_refuse(
                path,
                lambda _, now=now: now,
                folder=folder,
                held="another adaptation",
                overwrite=overwrite,
            )


def _work(work: Adapting, method: str, seed: int, place: Path) -> Made:
    """Adapt and write the network; a diverged one leaves its last good state."""
    place.mkdir(parents=True, exist_ok=True)
    state = place / STATE
    try:
        result = adapt(
            work.source,
            work.source_data,
            work.target,
            method=method,
            recipe=work.recipe,
            seeds=(seed,),
            test=work.test,
            checkpoint=state,
            resume=work.resume,
            validator=work.validator,
        )
    except DivergedError as error:  # the others may not
        save_model(place / MODEL, error.trained)
        return Made(value={}, files=(MODEL,), error=str(error))
    save_model(place / MODEL, result.trained)
    state.unlink(missing_ok=True)  # it was there to go on from
    found = result.to_dict()
    (run,) = found["runs"]
    facts = {
        **run,
        "before": found["before"],
        "left_out": found["left_out"],
        "curves": result.runs[0].curves,
        "data": None if work.spec is None else msgspec.to_builtins(work.spec),
    }
    return Made(value=facts, files=(MODEL,))

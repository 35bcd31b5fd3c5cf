"""The work of a sweep: a network trained, its scores, its transfers, one cell each."""

from __future__ import annotations

import dataclasses
import errno
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax

from trfjax.errors import ScoreWarning
from trfjax.ranking.run import Run
from trfjax.ranking.sources import Seen, Source
from trfjax.scores import score_named
from trfjax.state import TrainedModel
from trfjax.store import Made, Record, Store
from trfjax.studies.finetuning import Finetuning, transfer
from trfjax.studies.runs import RUN, open_model, read_run
from trfjax.studies.sources import train_source
from trfjax.studies.sweep.cells import (
    Job,
    SweepCell,
    all_cells,
    key_of,
    method_of,
)
from trfjax.studies.sweep.check import UNCHANGED, plan_of
from trfjax.studies.sweep.opened import Opened, OpenSource
from trfjax.training.evaluate import Evaluation, evaluate
from trfjax.transfer.empirical import MEASURES
from trfjax.transfer.guide import default_guide

CELLS = "cells"  # the folder of the records
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # nothing can be kept any more


@dataclasses.dataclass(frozen=True)
class Done:
    """A cell and its record."""

    cell: SweepCell
    record: Record


class Worker:
    """Does jobs, in one process; the network and the features of one source at a time.

    What it computes does not depend on which jobs it did before.
    """

    def __init__(self, opened: Opened, folder: Path, *, retry_failed: bool) -> None:
        self.opened, self.folder, self.retry_failed = opened, folder, retry_failed
        self.store = Store(folder / CELLS)
        self._plan = plan_of(opened.sweep)
        self._name = ""  # of the source whose network is at hand
        self._network: TrainedModel | Exception | None = None
        self._looked: tuple[tuple[Any, ...], Seen | None] = ((), None)

    def do(self, job: Job) -> Iterator[Done]:
        """Do the cells of a job that are not done, and yield all of them.

        Raises:
            OSError: nothing can be written; what was finished is kept.
        """
        work = {
            "score": self._score,
            "facts": self._facts,
            "transfer": self._transfer,
        }
        for cell in job.cells:
            yield self._keep(cell, work[cell.kind])

    def _keep(self, cell: SweepCell, work: Callable[..., dict[str, Any]]) -> Done:
        key = key_of(self.opened, cell)
        found = self.store.get(key)
        if found is not None and not (found.failed and self.retry_failed):
            return Done(cell, found)
        network = self._trained(cell.source)  # its time is not that of the cell

        def made() -> Made:
            if isinstance(network, Exception):
                raise network
            return Made(value=work(cell, network))

        # A user's network or file may raise anything at all: it is recorded.
        record = self.store.keep(
            key, made, retry_failed=self.retry_failed, catch=(Exception,)
        )
        return Done(cell, record)

    def _trained(self, name: str) -> TrainedModel | Exception:
        """Return the network of a source, trained now or before, or why there is none.

        Raises:
            OSError: nothing can be written.
        """
        if name != self._name or self._network is None:
            self._name, self._network, self._looked = name, None, ((), None)
            try:
                self._network = self._train(self.opened.sources[name])
            except OSError as error:
                if error.errno in NO_ROOM:
                    raise
                self._network = error
            except Exception as error:
                self._network = error
        return self._network

    def _train(self, source: OpenSource) -> TrainedModel:
        if source.network is not None:
            return open_model(source.network)
        assert source.training is not None
        folder = self.folder / source.folder
        run = train_source(folder, source.training, resume=True, progress=False)
        return run.trained

    def _score(self, cell: SweepCell, network: TrainedModel) -> dict[str, Any]:
        """Return the record of a score, or raise what it raises."""
        may_draw = self.opened.sweep.pixels is None
        run = Run(self._plan, None, strict=True, may_draw=may_draw)
        return run.compute(score_named(cell.name), self._seen(cell, network)).record()

    def _seen(self, cell: SweepCell, network: TrainedModel) -> Seen:
        """Return what a source sees of a draw of shots; its own images once for all."""
        place = cell.source, cell.target, cell.seed
        known, seen = self._looked
        if seen is None or known != place:
            shots = self.opened.targets[cell.target].drawn(cell.seed)
            if seen is not None and known[:1] == place[:1]:
                seen = seen.facing(shots)
            else:
                data = self.opened.sources[cell.source].data
                candidate = Source(cell.source, network, data)
                extraction = {"batch_size": 8, "cache": None, "progress": False}
                seen = Seen(candidate, shots, self._plan, extraction)
            self._looked = place, seen
        return seen

    def _facts(self, cell: SweepCell, trained: TrainedModel) -> dict[str, Any]:
        """Return what is known of a source without a score."""
        source = self.opened.sources[cell.source]
        shots = self.opened.targets[cell.target].drawn(cell.seed)
        known = set(shots.class_names) <= set(trained.card.class_names)
        as_is = evaluate(trained.model, trained.card, shots) if known else None
        own: dict[str, Any] = {}
        folder = source.network or self.folder / source.folder
        if (folder / f"{RUN}.json").is_file():
            own = read_run(folder).value["evaluation"]
        leaves = jax.tree.leaves(trained.model.params)
        return {
            "as_is": None if as_is is None else as_is.accuracy,
            "source_accuracy": own.get("accuracy"),
            "source_miou": own.get("miou"),
            "source_images": None if source.data is None else len(source.data),
            "parameters": sum(leaf.size for leaf in leaves),
        }

    def _transfer(self, cell: SweepCell, trained: TrainedModel) -> dict[str, Any]:
        """Learn the shots, and test on other scenes."""
        target = self.opened.targets[cell.target]
        method = method_of(self.opened, cell)
        if method.mode == UNCHANGED:
            return _measured(evaluate(trained.model, trained.card, target.test))
        work = Finetuning(
            source=trained,
            source_data=self.opened.sources[cell.source].data,
            pool=target.pool,
            test=target.test,
            method=method.mode,
            shots=target.shots,
            recipe=method.recipe,
            guide=default_guide(target.pool) if method.mode == "otce" else None,
            held_out=method.held_out,
        )
        with warnings.catch_warnings():  # classes without a shot are in the record
            warnings.simplefilter("ignore", ScoreWarning)
            shots = target.drawn(cell.seed)
            found = transfer(work, shots, cell.seed, target.test)
        assert found.evaluation is not None  # there is a test set
        return _measured(found.evaluation) | {
            "head": found.head,
            "best_step": found.best_step,
            "missing": list(found.missing),
        }


def finished(opened: Opened, folder: Path) -> dict[SweepCell, Record]:
    """Return the records of the cells that are finished."""
    store = Store(folder / CELLS)
    found = ((cell, store.get(key_of(opened, cell))) for cell in all_cells(opened))
    return {cell: record for cell, record in found if record is not None}


def _measured(found: Evaluation) -> dict[str, Any]:
    values = {name: getattr(found, name) for name in MEASURES}
    return values | {"evaluation": found.to_dict()}

"""What a sweep would do: cells that are finished, that failed, and that are left."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from trfjax.errors import DataError
from trfjax.files import digest
from trfjax.store import Store, read_record
from trfjax.studies.runs import RUN
from trfjax.studies.sweep.cells import SweepCell, all_cells, key_of
from trfjax.studies.sweep.opened import Opened, OpenSource
from trfjax.studies.sweep.pace import TRAINING, Pace, duration
from trfjax.studies.sweep.work import CELLS


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preview:
    """What a sweep would do."""

    total: int  # cells
    finished: int
    failed: tuple[SweepCell, ...]  # with an error, and left as they are
    todo: tuple[SweepCell, ...]
    to_train: tuple[str, ...]  # sources
    seconds: float  # on a machine like that which did the finished part
    unmeasured: tuple[str, ...]  # kinds of work that `seconds` leaves out
    pace: Pace = dataclasses.field(repr=False, compare=False)

    def __str__(self) -> str:
        counts = [f"{self.finished} finished", f"{len(self.todo)} to do"]
        if self.failed:
            counts.append(f"{len(self.failed)} failed (--retry-failed does them again)")
        lines = [f"{self.total} cells: {', '.join(counts)}"]
        for name in dict.fromkeys(cell.name for cell in self.todo):
            lines.append(f"  {name}: {sum(c.name == name for c in self.todo)}")
        if self.to_train:
            lines.append(f"to train first: {', '.join(self.to_train)}")
        return "\n".join([*lines, self.time])

    @property
    def time(self) -> str:
        """How long it takes, in words."""
        if not self.todo:
            return "nothing is left to do"
        if self.unmeasured and not self.seconds:
            return "how long it takes is known when some cells are finished"
        more = f", and {', '.join(self.unmeasured)}" if self.unmeasured else ""
        return f"about {duration(self.seconds)} by what was measured{more}"


def preview(opened: Opened, folder: Path, *, retry_failed: bool = False) -> Preview:
    """Look at what is finished in a folder.

    Args:
        opened: the sweep.
        folder: where it is kept.
        retry_failed: count failed cells as work to do.
    """
    store, pace = Store(folder / CELLS), Pace()
    failed, todo, finished = [], [], 0
    work: dict[str, str] = {}  # cells of one key are done once
    cells = all_cells(opened)
    for cell in cells:
        key = key_of(opened, cell)
        record = store.get(key)
        if record is None or (record.failed and retry_failed):
            todo.append(cell)
            work[digest(key)] = cell.name
        elif record.failed:
            failed.append(cell)
        else:
            finished += 1
            pace.add(cell.name, record.seconds)
    wanted, to_train = {cell.source for cell in todo}, []
    for name, source in opened.sources.items():
        seconds = training_seconds(folder, source)
        if seconds is not None:
            pace.add(TRAINING, seconds)
        elif name in wanted and source.training is not None:
            to_train.append(name)
    left, unmeasured = pace.left([*work.values(), *(TRAINING for _ in to_train)])
    return Preview(
        total=len(cells),
        finished=finished,
        failed=tuple(failed),
        todo=tuple(todo),
        to_train=tuple(to_train),
        seconds=left,
        unmeasured=unmeasured,
        pace=pace,
    )


def training_seconds(folder: Path, source: OpenSource) -> float | None:
    """Return what training a source took; None where it was not trained here."""
    if source.training is None:
        return None
    try:
        return read_record(folder / source.folder / f"{RUN}.json").seconds
    except (DataError, OSError):
        return None

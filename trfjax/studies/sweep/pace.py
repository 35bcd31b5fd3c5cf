"""How long a sweep will still take, from the cells that are measured."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Sequence

from trfjax.studies.sweep.cells import SweepCell
from trfjax.studies.sweep.work import Done

TRAINING = "training"  # what the work before the cells of a source is called


class Pace:
    """Seconds of finished work by what it was."""

    def __init__(self) -> None:
        self._seconds: dict[str, list[float]] = {}

    def add(self, work: str, seconds: float) -> None:
        """Count finished work."""
        self._seconds.setdefault(work, []).append(seconds)

    def left(self, work: Iterable[str]) -> tuple[float, tuple[str, ...]]:
        """Return the seconds of work still to do, and what was never measured.

        Work takes as long as its kind did in the mean; what was never measured counts
        as nothing.
        """
        mean = {name: sum(found) / len(found) for name, found in self._seconds.items()}
        names = list(work)
        unknown = tuple(dict.fromkeys(name for name in names if name not in mean))
        return sum((mean.get(name, 0.0) for name in names), 0.0), unknown


@dataclasses.dataclass(frozen=True, kw_only=True)
class Progress:
    """A cell is finished."""

    cell: SweepCell
    error: str  # empty where it did not fail
    done: int  # cells of those that were to do
    total: int
    seconds_left: float  # by what was measured so far
    unmeasured: tuple[str, ...]  # kinds of work that this leaves out


class Clock:
    """Time left of a sweep under way.

    Work left takes the time that work did before, by its kind, and the share of that
    which this run needs: less than 1 where several machines are at it.
    """

    def __init__(
        self, todo: Sequence[SweepCell], to_train: Sequence[str], pace: Pace
    ) -> None:
        self._left, self._total = dict.fromkeys(todo), len(todo)
        self._to_train, self._pace = set(to_train), pace
        self._started, self._worked = time.perf_counter(), 0.0

    def tick(self, done: Done, training: float) -> Progress:
        """Count a finished cell.

        Args:
            done: the cell.
            training: seconds that the network of its source took to train.
        """
        cell, seconds = done.cell, done.record.seconds
        if cell.source in self._to_train:
            self._to_train.discard(cell.source)
            self._pace.add(TRAINING, training)
            self._worked += training
        self._pace.add(cell.name, seconds)
        self._worked += seconds
        self._left.pop(cell, None)
        names = [*(c.name for c in self._left), *(TRAINING for _ in self._to_train)]
        work, unmeasured = self._pace.left(names)
        spent = time.perf_counter() - self._started
        return Progress(
            cell=cell,
            error=done.record.error,
            done=self._total - len(self._left),
            total=self._total,
            seconds_left=work * spent / self._worked if self._worked > 0 else work,
            unmeasured=unmeasured,
        )


def duration(seconds: float) -> str:
    """Return a time in words, to two digits or so."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"

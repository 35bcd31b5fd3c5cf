"""The work of a ranking: one cell a candidate and score, computed or read back."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from trfjax.data.dataset import Dataset
from trfjax.errors import ScoreWarning, WriteError
from trfjax.ranking.cell import Cell, cell_of
from trfjax.ranking.drawn import score_drawn
from trfjax.ranking.floor import judged
from trfjax.ranking.plan import Plan
from trfjax.ranking.sources import Seen, target_name
from trfjax.ranking.unlike import traits_of
from trfjax.ranking.whole import score_whole
from trfjax.scores.spec import ScoreSpec
from trfjax.statistics.resamples import Resamples
from trfjax.store import Made, Store

log = logging.getLogger("trfjax")

VERSION = 5  # of how cells are computed; part of their key


class Run:
    """The work of one `rank` call, and what has come of it so far."""

    def __init__(
        self, plan: Plan, out: Path | None, *, strict: bool, may_draw: bool
    ) -> None:
        self.plan, self.strict, self.may_draw = plan, strict, may_draw
        self.store = None if out is None else Store(out / "cells")
        self.cells: list[Cell] = []
        self.source_classes: dict[str, tuple[str, ...]] = {}
        self.target_classes: tuple[str, ...] = ()

    def add(self, seen: Seen) -> None:
        """Score one candidate."""
        self.source_classes[seen.candidate.name] = ()
        said: set[str] = set()
        for spec in self.plan.specs:
            # A user's network may raise anything at all: it is listed, others go on.
            try:
                cell = self._cell(spec, seen)
            except WriteError:  # of the results: no other score could be kept
                raise
            except Exception as error:
                if self.strict:
                    raise
                cell = _failed(spec, seen, error)
                if cell.error not in said:
                    log.warning("%s: %s", cell.source, cell.error)
                said.add(cell.error)
            self.cells.append(cell)

    def _cell(self, spec: ScoreSpec, seen: Seen) -> Cell:
        """Compute one cell, or read it back when it is already there."""
        target = seen.labelled(spec)
        self.target_classes = target.class_names
        self.source_classes[seen.candidate.name] = target.source_class_names
        if self.store is None:
            return self.compute(spec, seen)
        key = {
            "version": VERSION,
            "metric": spec.name,
            "plan": dataclasses.asdict(self.plan),
            "may_draw": self.may_draw,
            "content": seen.content(spec),
        }
        if seen.target is not None and seen.target.unit != "image":
            key["units"] = seen.target.units.tolist()
        record = self.store.keep(
            key, lambda: Made(value=self.compute(spec, seen).record())
        )
        cell = cell_of(record.value, self.store.path(key))
        return dataclasses.replace(cell, source=seen.candidate.name)

    def compute(self, spec: ScoreSpec, seen: Seen) -> Cell:
        """Return the cell of a score; whatever it raises is raised."""
        started = time.perf_counter()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ScoreWarning)
            found = self._score(spec, seen)
        said = (w.message for w in caught if issubclass(w.category, ScoreWarning))
        return Cell(
            **found,
            source=seen.candidate.name,
            target=target_name(seen.candidate, seen.target),
            metric=spec.name,
            smooth=spec.smooth,
            seconds=time.perf_counter() - started,
            warnings=tuple(map(str, said)),
        )

    def _score(self, spec: ScoreSpec, seen: Seen) -> dict[str, Any]:
        """Return the fields of a cell that are the score's own."""
        target = seen.labelled(spec)
        resamples = self._resamples(len(target.image_ids), seen.target)
        whole = self.plan.pixels[spec.name] == "all"
        found = (score_whole if whole else score_drawn)(
            spec, seen, self.plan, resamples
        )
        if found["details"].get("doubt") and self.may_draw and seen.drawable:
            found = self._draw_instead(spec, seen, resamples, found)
        if spec.sensitive:
            traits = traits_of(spec, seen, found["features"], whole)
            found["details"]["traits"] = traits
        if spec.labels == "ids":
            found |= judged(spec, found, target.label_counts, resamples)
        return found

    def _draw_instead(
        self,
        spec: ScoreSpec,
        seen: Seen,
        resamples: Resamples | None,
        whole: dict[str, Any],
    ) -> dict[str, Any]:
        """Return the score of draws, where sums over all pixels do not tell it."""
        plan = self.plan.drawing(spec.name)
        found = score_drawn(spec, seen.drawing(plan), plan, resamples)
        found["details"] |= {
            "doubt": whole["details"]["doubt"],
            "score_of_all_pixels": whole["score"],
        }
        warnings.warn(
            f"{spec.name}: the score is of {plan.repeats} draws of "
            f"{plan.pixels[spec.name]:,} pixels, since all pixels do not tell it",
            ScoreWarning,
            stacklevel=2,
        )
        return found

    def _resamples(self, images: int, target: Dataset | None) -> Resamples | None:
        """Return the resamples of the target, the same for all sources."""
        if not self.plan.bootstrap:
            return None
        units = np.arange(images) if target is None else target.units
        if len(np.unique(units)) < 2:
            unit = "image" if target is None else target.unit
            warnings.warn(
                f"a single target {unit} cannot be resampled, so there is no interval",
                ScoreWarning,
                stacklevel=2,
            )
            return None
        return Resamples.draw(
            images, self.plan.bootstrap, units=units, seed=self.plan.seed
        )


@contextlib.contextmanager
def said_once() -> Iterator[None]:
    """Log no line twice: what every source says of the same images is said once."""
    said: set[str] = set()

    def new(record: logging.LogRecord) -> bool:
        text, known = record.getMessage(), len(said)
        said.add(text)
        return len(said) > known

    log.addFilter(new)
    try:
        yield
    finally:
        log.removeFilter(new)


def _failed(spec: ScoreSpec, seen: Seen, error: Exception) -> Cell:
    """Return the cell of a score that could not be computed."""
    return Cell(
        source=seen.candidate.name,
        target=target_name(seen.candidate, seen.target),
        metric=spec.name,
        status="failed",
        smooth=spec.smooth,
        error=f"{type(error).__name__}: {error}",
    )

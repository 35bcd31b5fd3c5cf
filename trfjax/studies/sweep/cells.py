"""The cells of a sweep: computed once, and found again by what they depend on."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

from trfjax.ranking.run import VERSION as RANKING_VERSION
from trfjax.studies.sweep.check import UNCHANGED, plan_of
from trfjax.studies.sweep.opened import Opened, OpenSource, OpenTarget
from trfjax.studies.sweep.spec import Method

Kind: TypeAlias = Literal["score", "facts", "transfer"]

VERSION = 1  # of how cells are computed; part of their key
FACTS = "facts"  # the name of the cell of what is known without a score


@dataclasses.dataclass(frozen=True)
class SweepCell:
    """One source, one target, one draw of shots, and a score or a transfer."""

    kind: Kind
    name: str  # of the score or the method
    source: str
    target: str
    seed: int

    def __str__(self) -> str:
        return f"{self.source} to {self.target}, seed {self.seed}: {self.name}"


@dataclasses.dataclass(frozen=True)
class Job:
    """Cells that are computed together: scores of a source, or one transfer."""

    source: str
    cells: tuple[SweepCell, ...]


def all_cells(opened: Opened) -> list[SweepCell]:
    """Return the cells of a sweep in the order of work: source by source."""
    sweep = opened.sweep
    found: list[SweepCell] = []
    for source in opened.sources:
        targets = [t for s, t in sweep.pairs() if s == source]
        places = [(target, seed) for target in targets for seed in sweep.seeds]
        for target, seed in places:
            found += [SweepCell("score", n, source, target, seed) for n in sweep.scores]
            found.append(SweepCell("facts", FACTS, source, target, seed))
        found += [
            SweepCell("transfer", method.title, source, *place)
            for method in sweep.ways
            for place in places
        ]
    return found


def jobs_of(cells: list[SweepCell]) -> Iterator[tuple[Job, tuple[Job, ...]]]:
    """Yield, for every source, the scoring and the transfers that may follow it."""
    for source in dict.fromkeys(cell.source for cell in cells):
        mine = [cell for cell in cells if cell.source == source]
        first = tuple(cell for cell in mine if cell.kind != "transfer")
        later = tuple(Job(source, (c,)) for c in mine if c.kind == "transfer")
        yield Job(source, first), later


def key_of(opened: Opened, cell: SweepCell) -> dict[str, Any]:
    """Return everything a cell depends on, by name."""
    source, target = opened.sources[cell.source], opened.targets[cell.target]
    shots = target.drawn(cell.seed)
    key: dict[str, Any] = {
        "version": VERSION,
        **dataclasses.asdict(cell),
        "network": source.identity,
        "shots": {"data": shots.fingerprint, "classes": list(shots.class_names)},
    }
    if cell.kind == "score":
        return key | _score(opened, cell, source)
    if cell.kind == "transfer":
        return key | _transfer(opened, cell, source, target)
    return key | {"data": None if source.data is None else len(source.data)}


def method_of(opened: Opened, cell: SweepCell) -> Method:
    """Return how a cell transfers its source."""
    return next(m for m in opened.sweep.ways if m.title == cell.name)


def _score(opened: Opened, cell: SweepCell, source: OpenSource) -> dict[str, Any]:
    plan = plan_of(opened.sweep)
    asked = {
        field.name: getattr(plan, field.name)
        for field in dataclasses.fields(plan)
        if field.name not in ("metrics", "pixels", "features")
    }
    return {
        "ranking": RANKING_VERSION,
        "plan": asked,
        "pixels": plan.pixels[cell.name],
        "space": plan.features[cell.name],
        "kept": plan.kept,
        "source_data": None if source.data is None else source.data.fingerprint,
    }


def _transfer(
    opened: Opened, cell: SweepCell, source: OpenSource, target: OpenTarget
) -> dict[str, Any]:
    method = method_of(opened, cell)
    data = source.data
    key: dict[str, Any] = {
        "test": target.test.fingerprint,
        "mode": method.mode,
    }
    if method.mode != UNCHANGED:
        key |= {
            "recipe": dataclasses.replace(method.recipe, seed=cell.seed).to_dict(),
            "held_out": method.held_out,
        }
    if method.mode == "otce":
        key["source_data"] = None if data is None else data.fingerprint
    if method.mode == "scratch":
        # The same for every source of one architecture: it is done once.
        card = dataclasses.asdict(source.card) | {"name": "", "trained_on": ""}
        key |= {"network": card, "source": ""}
    return key

"""The verdict of a ranking: what can be said of the first source, in one place."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np

from trfjax.ranking.cell import Cell
from trfjax.statistics.interval import Interval
from trfjax.statistics.jackknife import Pool

Kind: TypeAlias = Literal["clear lead", "no clear lead", "none informative"]
LEAST = 0.05  # of the labels, that an informative source explains


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """The judgement on the first source of a ranking, and how sure it is.

    A source is informative when the lower end of the interval of the share that it
    explains is at least `least`. The lead is clear when the leader is informative and
    the paired interval of its difference to every other source leaves out 0.
    """

    kind: Kind
    metric: str
    leader: str | None  # None where no source could be scored
    runner_up: str | None
    difference: Interval | None  # leader less runner-up, of the estimates
    contenders: tuple[str, ...]  # sources the leader cannot be told from
    floor: float | None  # what a useless source reaches, where that is known
    explained: Interval | None  # share that the leader explains
    informative: bool | None  # of the leader; None where that is not known
    level: float
    least: float
    sentence: str

    def __str__(self) -> str:
        return self.sentence


def verdict_of(
    cells: Sequence[Cell], *, level: float = 0.9, least: float = LEAST
) -> Verdict:
    """Return the verdict on the cells of one score, best first.

    Args:
        cells: as `Ranking.column` returns them.
        level: how sure a lead has to be: at most `1 - level` of the clear leads
            between sources that are equally good, or worthless, are false.
        least: share of the labels that an informative source explains at least.

    Raises:
        ValueError: a level or a share outside (0, 1).
    """
    for name, value in (("level", level), ("least", least)):
        if not 0 < value < 1:
            raise ValueError(f"{name}: {value} is not within (0, 1)")
    scored = [cell for cell in cells if np.isfinite(cell.score)]
    pool = pool_of(scored)
    useful = [_informative(cell, level, least) for cell in scored]
    between = _differences(pool, level)
    behind = [found.above_zero for found in between]
    return _worded(
        Verdict(
            kind=_kind(useful, behind),
            metric=cells[0].metric,
            leader=scored[0].source if scored else None,
            runner_up=scored[1].source if len(scored) > 1 else None,
            difference=between[0] if between else None,
            contenders=tuple(
                cell.source
                for cell, clear in zip(scored[1:], behind, strict=False)
                if not clear
            ),
            floor=scored[0].floor if scored else None,
            explained=scored[0].explains(level) if scored else None,
            informative=useful[0] if useful else None,
            level=level,
            least=least,
            sentence="",
        ),
        of=scored[0].explained_of if scored else "",
        others=sum(found is True for found in useful[1:]),
    )


def pool_of(cells: Sequence[Cell]) -> Pool | None:
    """Return what the same images say of several cells; None where that is unknown."""
    counts = {len(cell.left_out) for cell in cells}
    if len(counts) != 1:
        return None
    values = np.array([cell.estimate for cell in cells])
    pool = Pool.of(values, np.array([cell.left_out for cell in cells]))
    return pool if pool.images > 1 else None


def _differences(pool: Pool | None, level: float) -> list[Interval]:
    """Return by how much the first exceeds each of the others."""
    if pool is None:
        return []
    return [pool.difference(0, i, level) for i in range(1, len(pool.values))]


def _informative(cell: Cell, level: float, least: float) -> bool | None:
    """Say whether a source explains enough; None where that is not known."""
    share = cell.explains(level)
    return None if share is None or np.isnan(share.low) else share.low >= least


def _kind(useful: Sequence[bool | None], behind: Sequence[bool]) -> Kind:
    if useful and all(found is False for found in useful):
        return "none informative"
    # A score that has no floor cannot say that its leader is worthless.
    if behind and all(behind) and useful[0] is not False:
        return "clear lead"
    return "no clear lead"


def _worded(verdict: Verdict, *, of: str, others: int) -> Verdict:
    """Return the verdict with its sentence."""
    sentence = _sentence(verdict, of, others)
    return dataclasses.replace(verdict, sentence=sentence)


def _sentence(v: Verdict, of: str, others: int) -> str:
    if v.leader is None:
        return "No source could be scored."
    share = f" It explains {_shares(v, of)}." if v.explained is not None else ""
    if v.kind == "none informative":
        return (
            "None of these sources is informative for this target: the best, "
            f"{v.leader}, explains {_shares(v, of)}; {v.least:.0%} is the least."
        )
    if v.runner_up is None:
        return f"Only {v.leader} has a score, with nothing to compare it with.{share}"
    if v.difference is None:
        return (
            f"No clear lead: {v.leader} is first, but without intervals over images "
            f"nobody knows how sure that is.{share}"
        )
    apart = f"{v.difference.value:.2g} above {v.runner_up} ({_ends(v)})"
    if v.kind == "clear lead":
        return f"A clear lead: {v.leader} is {apart}.{share}"
    reason = f"it cannot be told from {_names(v.contenders)}"
    if not v.contenders:
        reason = f"that is not known to be worth {v.least:.0%}"
        reason += f", and {others} of the others are known to be" if others else ""
    return f"No clear lead: {v.leader} is {apart}, but {reason}.{share}"


def _names(names: Sequence[str], shown: int = 3) -> str:
    rest = len(names) - shown
    listed = ", ".join(names[:shown])
    return f"{listed} and {rest} more" if rest > 0 else listed


def _ends(v: Verdict) -> str:
    assert v.difference is not None
    low, high = v.difference.ends
    return f"{v.level:.0%} interval {low:.2g} to {high:.2g}"


def _shares(v: Verdict, of: str) -> str:
    assert v.explained is not None
    value, (low, high) = v.explained.value, v.explained.ends
    said = f"{percent(value)}% of {of}"
    if np.isnan(low):
        return said
    return f"{said} ({v.level:.0%} interval {percent(low)} to {percent(high)}%)"


def percent(share: float) -> str:
    """Return a share in percent, two digits; never as 1e+02."""
    number = 100 * share
    return f"{number:.0f}" if abs(number) >= 9.95 else f"{number:.2g}"

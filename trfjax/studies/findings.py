"""What measured transfers say about the choice of sources, with intervals."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from trfjax.data.medical.tasks import Task
from trfjax.statistics.correlation import footrule
from trfjax.statistics.interval import Interval
from trfjax.studies.problems import APART, NESTED, Pair, named, pair
from trfjax.training.patients import over_patients


@dataclasses.dataclass(frozen=True, eq=False)
class Measured:
    """The results of every source on one target."""

    target: str  # name of a problem
    sources: tuple[str, ...]  # names of problems
    dice: Float[np.ndarray, "s p"]  # of every source and test patient; NaN: no truth
    scratch: Float[np.ndarray, " p"]  # without a source
    together: Float[np.ndarray, " p"]  # of the three sources ranked first, together
    first: Float[np.ndarray, " p"]  # of the one ranked first
    scores: Mapping[str, Float[np.ndarray, " s"]]  # by metric, larger is better

    @property
    def mean_dice(self) -> Float[np.ndarray, " s"]:
        """Mean over test patients of every source."""
        return np.nanmean(self.dice, axis=1)


@dataclasses.dataclass(frozen=True)
class Finding:
    """A statement, and by how much Dice it holds."""

    statement: str
    gain: Interval  # mean over targets, resampled over patients of the test
    targets: int  # that have sources on both sides
    agreeing: int  # targets on which the mean gain is positive

    @property
    def verdict(self) -> str:
        """Whether the interval supports the statement."""
        if self.gain.above_zero:
            return "holds"
        return "the reverse holds" if self.gain.high < 0 else "not shown"


Side = Callable[[Pair], bool]
# Statement, and the sources on both of its sides; all share their hospitals.
STATEMENTS: tuple[tuple[str, Side, Side], ...] = (
    (
        "related sources beat unrelated ones",
        lambda p: p.related,
        lambda p: not p.related,
    ),
    (
        "another task in the same modality beats the same task in another modality",
        lambda p: p.same_modality and p.relation != "same",
        lambda p: p.relation == "same" and not p.same_modality,
    ),
    (
        "of exclusive tasks, complementary ones beat the others",
        lambda p: p.same_modality and p.relation == APART[0],
        lambda p: p.same_modality and p.relation == APART[1],
    ),
    (
        "of nested tasks, smaller sources beat bigger ones",
        lambda p: p.same_modality and p.relation == NESTED[0],
        lambda p: p.same_modality and p.relation == NESTED[1],
    ),
)
MANY = "three sources together beat the first choice alone"


def findings(
    measured: Sequence[Measured], tasks: Mapping[str, Task]
) -> tuple[Finding, ...]:
    """Hold the statements against measured transfers.

    For every target the mean Dice of the sources on one side minus that on the other,
    patient by patient; then the mean over targets. Targets at one institution share
    their test patients, so the interval is over patients (Student's t).

    Args:
        measured: targets.
        tasks: name -> ids of the foreground.
    """
    found = []
    for statement, one, two in STATEMENTS:
        gains = {m.target: _gain(m, tasks, one, two) for m in measured}
        found.append(_finding(statement, measured, gains))
    gains = {m.target: m.together - m.first for m in measured}
    return (*found, _finding(MANY, measured, gains))


def _gain(
    measured: Measured, tasks: Mapping[str, Task], one: Side, two: Side
) -> Float[np.ndarray, " p"] | None:
    """Return the gain of one side over the other for every patient."""
    target = named(measured.target)
    pairs = [pair(named(source), target, tasks) for source in measured.sources]
    rows = [np.array([side(p) for p in pairs]) for side in (one, two)]
    if not all(row.any() for row in rows):
        return None
    return measured.dice[rows[0]].mean(axis=0) - measured.dice[rows[1]].mean(axis=0)


def _finding(
    statement: str,
    measured: Sequence[Measured],
    gains: Mapping[str, Float[np.ndarray, " p"] | None],
) -> Finding:
    """Average over the targets of an institution, then over all its patients."""
    by_place: dict[str, list[np.ndarray]] = {}
    means = []
    for m in measured:
        gain = gains[m.target]
        if gain is not None and not np.isnan(gain).all():
            by_place.setdefault(named(m.target).institution, []).append(gain)
            means.append(float(np.nanmean(gain)))
    if not means:
        return Finding(statement, Interval(np.nan, np.nan, np.nan, 0), 0, 0)
    patients = [_over_targets(np.array(rows)) for rows in by_place.values()]
    return Finding(
        statement=statement,
        gain=over_patients(np.concatenate(patients)),
        targets=len(means),
        agreeing=sum(mean > 0 for mean in means),
    )


def _over_targets(rows: Float[np.ndarray, "t p"]) -> Float[np.ndarray, " p"]:
    """Return means of every patient over the targets where it has a value."""
    known = ~np.isnan(rows)
    total = np.where(known, rows, 0).sum(axis=0)
    return np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)


def footrules(
    measured: Measured, metric: str, tasks: Mapping[str, Task], *, filtered: bool
) -> tuple[float, ...]:
    """Return Spearman's footrule of a score at the one to four best sources.

    Args:
        measured: a target.
        metric: the score.
        tasks: name -> ids of the foreground.
        filtered: only among the sources that the filter F leaves, on either side.
    """
    target = named(measured.target)
    keep = np.array(
        [
            not filtered or pair(named(source), target, tasks).related
            for source in measured.sources
        ]
    )
    scores, dice = measured.scores[metric][keep], measured.mean_dice[keep]
    return tuple(footrule(scores, dice, top=k) for k in range(1, min(4, len(dice)) + 1))

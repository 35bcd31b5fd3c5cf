"""How well scores predicted the transfers of a sweep, beside what any must beat."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from trfjax.statistics.choice import (
    footrule,
    ndcg,
    recall_at_k,
    regret_at_1,
    regret_at_k,
    rel_at_k,
    selected_right,
)
from trfjax.statistics.correlation import kendall, pearson, spearman, weighted_kendall
from trfjax.statistics.interval import Interval
from trfjax.statistics.reliability import reliability
from trfjax.statistics.skill import ceiling, corrected_for_noise, skill
from trfjax.statistics.static import static_ranking
from trfjax.statistics.targets import Measure, by_target, over_models, over_targets
from trfjax.studies.sweep.result import FACTS, SweepResult

STATIC = "static"  # the row of the ranking by the other targets
SCRATCH = "scratch"  # the method, and the row of weights drawn anew
# What is asked of a ranking beside its Spearman correlation.
MEASURES: dict[str, Measure] = {
    "pearson": pearson,
    "kendall": kendall,
    "weighted_kendall": weighted_kendall,
    "footrule": lambda s, a: footrule(s, a, normalised=True),
    "rel@1": rel_at_k,
    "rel@3": lambda s, a: rel_at_k(s, a, k=3),
    "recall@3": lambda s, a: recall_at_k(s, a, k=3),
    "regret@1": regret_at_1,
    "regret@3": regret_at_k,
    "selection_accuracy": selected_right,
}
# A log-likelihood is negative: it has no gain, and nothing is relative to it.
POSITIVE = ("rel@1", "rel@3")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Quality:
    """How well one predictor orders the sources, over the targets of a sweep."""

    predictor: str
    measured: str
    targets: int  # on which it is defined
    over_targets: Interval  # mean Spearman, and for other targets
    over_models: Interval  # the same, and for other sources
    gain: Interval  # over the static ranking, on the same targets
    corrected: float  # Spearman as if measured without noise
    skill: float  # share of the way from the static ranking to the ceiling
    measures: Mapping[str, float]  # means over targets

    @property
    def spearman(self) -> float:
        """The mean over targets."""
        return self.over_targets.value


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """All predictors of one measured quantity, and what they are held against."""

    measured: str
    method: str
    targets: int
    ceiling: float  # what noise of the measurement leaves; NaN with one seed
    rows: tuple[Quality, ...]  # panels, scores, facts, the static ranking
    chance: float  # what a random choice loses
    scratch: float | None  # what weights drawn anew lose; None: not measured


def judge_sweep(
    result: SweepResult, measured: str = "accuracy", *, method: str | None = None
) -> Judged:
    """Return how well every predictor of a sweep orders what was measured.

    A draw of shots gives a score and a measured transfer; both are means over the
    seeds, so that scores see the draws that are learned.

    Args:
        result: of the sweep.
        measured: `"accuracy"`, `"miou"` or `"log_likelihood"`.
        method: the way to transfer; the first one by default.

    Returns:
        Rows for panels, scores, the facts known without one, and the static ranking.
        Larger is better, but for footrule and regret.
    """
    method = method or result.methods[0]
    table = result.table(method)
    truth = _matrix(result, table, measured)
    if not truth.size:
        nothing = float("nan")
        return Judged(
            measured=measured,
            method=method,
            targets=0,
            ceiling=nothing,
            rows=(),
            chance=nothing,
            scratch=None,
        )
    static = static_ranking(truth)
    highest = _ceiling(result, method, measured)
    predictors = {
        name: _matrix(result, table, name)
        for name in result.predictors
        if name not in FACTS or any(np.isfinite(table[name]))
    }
    rows = [
        _quality(name, measured, scores, truth, static, highest)
        for name, scores in {**predictors, STATIC: static}.items()
    ]
    lost = np.nanmax(truth, axis=1, keepdims=True) - truth
    return Judged(
        measured=measured,
        method=method,
        targets=len(truth),
        ceiling=highest,
        rows=tuple(rows),
        chance=float(np.mean(np.nanmean(lost, axis=1))),
        scratch=_scratch(result, truth, measured),
    )


def _quality(
    name: str,
    measured: str,
    scores: Float[np.ndarray, "targets sources"],
    truth: Float[np.ndarray, "targets sources"],
    static: Float[np.ndarray, "targets sources"],
    highest: float,
) -> Quality:
    rho = by_target(spearman, scores, truth)
    least = by_target(spearman, static, truth)
    mean = over_targets(rho)
    measures: dict[str, Callable[..., float]] = dict(MEASURES)
    if np.nanmin(truth) >= 0:
        measures["ndcg"] = ndcg
    else:
        measures = {k: v for k, v in measures.items() if k not in POSITIVE}
    return Quality(
        predictor=name,
        measured=measured,
        targets=mean.count,
        over_targets=mean,
        over_models=over_models(spearman, scores, truth),
        gain=over_targets(rho - least),
        corrected=corrected_for_noise(mean.value, highest),
        skill=skill(mean.value, over_targets(least).value, highest),
        measures={
            key: over_targets(by_target(measure, scores, truth)).value
            for key, measure in measures.items()
        },
    )


def _matrix(
    result: SweepResult, table: Mapping[str, Sequence[Any]], column: str
) -> Float[np.ndarray, "targets sources"]:
    """Return a column by target and source; NaN where there is no value."""
    sources = [source.name for source in result.sweep.sources]
    targets = [t for t in dict.fromkeys(table["target"])]
    found = np.full((len(targets), len(sources)), np.nan)
    for source, target, value in zip(
        table["source"], table["target"], table[column], strict=True
    ):
        found[targets.index(target), sources.index(source)] = value
    return found


def _ceiling(result: SweepResult, method: str, measured: str) -> float:
    """Return the largest correlation that noise leaves, from how well seeds agree."""
    rows = [row for row in result.rows() if row["method"] == method]
    found, seeds = [], result.sweep.seeds
    for target in result.sweep.targets:
        mine = [row for row in rows if row["target"] == target.name]
        values = np.array(
            [
                [np.nan if r[measured] is None else r[measured] for r in mine
                 if r["source"] == source]
                for source in dict.fromkeys(row["source"] for row in mine)
            ],
            np.float64,
        )  # fmt: skip
        whole = values[np.isfinite(values).all(axis=1)] if values.size else values
        if min(whole.shape) >= 2:
            found.append(reliability(whole))
    known = [value for value in found if np.isfinite(value)]
    return ceiling(float(np.mean(known)), len(seeds)) if known else float("nan")


def _scratch(
    result: SweepResult, truth: Float[np.ndarray, "targets sources"], measured: str
) -> float | None:
    """Return what weights drawn anew lose to the best source."""
    names = [m.title for m in result.sweep.ways if m.mode == SCRATCH]
    if not names:
        return None
    table = result.table(names[0])
    fresh = _matrix(result, table, measured)
    if fresh.shape != truth.shape:
        return None
    return float(np.mean(np.nanmax(truth, axis=1) - np.nanmean(fresh, axis=1)))

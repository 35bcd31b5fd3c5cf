"""Learn from measured transfers what scores and sources are worth."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from trfjax.ranking.history import (
    History,
    Predicted,
    centred_by,
    read_columns,
)
from trfjax.statistics.mixed_model import solve_mixed, variance_ratios


@dataclasses.dataclass(frozen=True, eq=False)
class _Rows:
    """A table with its design: what a fit and its leaving out of targets share."""

    shape: History  # names and scales; its estimates are not yet known
    source: np.ndarray
    target: np.ndarray
    scores: Float[np.ndarray, "n k"]
    measured: Float[np.ndarray, " n"]
    effects: tuple[bool, bool]  # whether sources and targets have effects


def fit_history(
    table: Any,
    *,
    measured: str = "miou",
    scores: Sequence[str] = ("logme",),
    centred: bool = True,
    source_effects: bool = True,
    target_effects: bool = True,
) -> History:
    r"""Fit a mixed model of measured transfer to scores, sources and targets.

    See `History` for the model. The variances of the effects maximise the restricted
    likelihood; given those, estimates are the best linear unbiased ones. Without
    effects and with `centred=False` it is least squares on the scores: with the
    scores `domain_difference` and `task_difference` that is the full OTCE.

    Args:
        table: one row a measured transfer, with the columns `source`, `target`, those
            of the scores and the measured one: a mapping of columns, the path of a CSV
            or Parquet file, or anything with a method `table()` that returns such a
            mapping, like the result of a sweep.
        measured: the column to predict, larger is better.
        scores: the columns to predict it from; none: from the sources alone.
        centred: whether scores enter as differences to the mean of their target.
            Scores of different targets are seldom comparable: LEEP and NCE shift with
            the entropy of the labels.
        source_effects: whether a source may be better or worse than its scores say.
        target_effects: whether targets may be harder or easier altogether.

    Returns:
        The fitted model.

    Raises:
        ValueError: a column that is missing or not finite, or too few rows or targets.

    Reference:
        Patterson and Thompson, "Recovery of inter-block information when block sizes
        are unequal", Biometrika 58, 1971; Henderson, "Best Linear Unbiased Estimation
        and Prediction under a Selection Model", Biometrics 31, 1975.
    """
    rows = _rows(table, measured, scores, centred, (source_effects, target_effects))
    return _fit(rows, np.ones(len(rows.measured), bool))


def leave_one_target_out(
    table: Any, *, level: float = 0.9, **settings: Any
) -> Predicted:
    """Predict every row from the rows of the other targets.

    Args:
        table: as for `fit_history`.
        level: share of the intervals that should hold what was measured.
        **settings: of `fit_history`.

    Returns:
        Predictions in the order of the table.

    Raises:
        ValueError: as `fit_history`; fewer than three targets.
    """
    settings = {"measured": "miou", "scores": ("logme",), "centred": True, **settings}
    effects = (
        settings.pop("source_effects", True),
        settings.pop("target_effects", True),
    )
    rows = _rows(table, effects=effects, **settings)
    if len(rows.shape.targets) < 3:
        raise ValueError(
            f"table: {len(rows.shape.targets)} targets; at least 3 are needed to leave "
            "one out and learn from the others"
        )
    found = np.empty((3, len(rows.measured)))
    for name in rows.shape.targets:
        out = rows.target == name
        history = _without(_fit(rows, ~out), name)
        part = {
            "source": rows.source[out],
            "target": rows.target[out],
            **dict(zip(history.scores, rows.scores[out].T, strict=True)),
        }
        found[:, out] = history.predict(part, level=level)
    return Predicted(*found)


def _rows(
    table: Any,
    measured: str,
    scores: Sequence[str],
    centred: bool,
    effects: tuple[bool, bool],
) -> _Rows:
    if hasattr(table, "table"):
        table = table.table()
    source, target, values, found = read_columns(table, scores, measured)
    spread = (centred_by(target, values) if centred else values).std(axis=0)
    sources, targets = (tuple(sorted(set(names))) for names in (source, target))
    free = len(found) - 1 - len(scores)
    if free < 2 or (effects[1] and len(targets) < 2):
        raise ValueError(
            f"table: {len(found)} rows of {len(targets)} targets for {len(scores)} "
            "scores; a fit needs at least 3 rows more than scores, and 2 targets"
        )
    size = 1 + len(scores) + len(sources) + len(targets)
    shape = History(
        scores=tuple(scores),
        measured=measured,
        sources=sources,
        targets=targets,
        centred=centred,
        scale=np.where(spread > 0, spread, 1.0),
        estimates=np.zeros(size),
        covariance=np.zeros((size, size)),
        source_variance=0.0,
        target_variance=0.0,
        residual_variance=0.0,
        rows=len(found),
    )
    return _Rows(
        shape=shape,
        source=source,
        target=target,
        scores=values,
        measured=found,
        effects=effects,
    )


def _fit(rows: _Rows, used: np.ndarray) -> History:
    """Fit the rows that are used; levels without a row keep the mean 0."""
    shape = rows.shape
    design = shape.design(rows.source, rows.target, rows.scores)[used]
    measured = rows.measured[used]
    middle, unit = measured.mean(), max(measured.std(), 1e-12)
    sides = np.concatenate([design, ((measured - middle) / unit)[:, None]], axis=1)
    gram, fixed = sides.T @ sides, 1 + len(shape.scores)
    free = len(measured) - int(np.linalg.matrix_rank(design[:, :fixed]))
    levels = (len(shape.sources), len(shape.targets))
    ratios = variance_ratios(gram, free, fixed, levels, rows.effects)
    found, inverse, residual = solve_mixed(gram, ratios, free, fixed)
    residual = residual * unit**2
    estimates = found * unit
    estimates[0] += middle
    source, target = (float(ratios[fixed + i]) for i in (0, levels[0]))
    return dataclasses.replace(
        shape,
        estimates=estimates,
        covariance=inverse * residual,
        source_variance=source * residual,
        target_variance=target * residual,
        residual_variance=residual,
        rows=len(measured),
    )


def _without(history: History, target: str) -> History:
    """Return a history that does not know a target: it is new to it."""
    start = 1 + len(history.scores) + len(history.sources)
    kept = np.ones(len(history.estimates), bool)
    kept[start + history.targets.index(target)] = False
    return dataclasses.replace(
        history,
        targets=tuple(name for name in history.targets if name != target),
        estimates=history.estimates[kept],
        covariance=history.covariance[np.ix_(kept, kept)],
    )

"""A measure of rankings over several targets, and how sure its mean is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from trfjax.statistics.interval import Interval

Measure = Callable[[np.ndarray, np.ndarray], float]  # of scores and performances


def by_target(
    measure: Measure,
    scores: Float[np.ndarray, "targets sources"],
    measured: Float[np.ndarray, "targets sources"],
) -> Float[np.ndarray, " targets"]:
    """Return a measure on every target, over the sources that have both values.

    Args:
        measure: a function of `statistics.correlation` or `statistics.choice`.
        scores: NaN where there is none.
        measured: likewise.
    """
    found = []
    for s, a in zip(scores, measured, strict=True):
        known = np.isfinite(s) & np.isfinite(a)
        found.append(measure(s[known], a[known]) if known.any() else np.nan)
    return np.array(found, np.float64)


def over_targets(
    values: Float[np.ndarray, " targets"],
    *,
    level: float = 0.9,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Return the mean over targets, and its interval for other targets of the kind.

    Targets are drawn with replacement; quantiles of the means are the ends. Targets
    where the measure is undefined (NaN) are left out.

    Args:
        values: of a measure on every target.
        level: share of intervals that should hold the mean over all such targets.
        resamples: how often targets are drawn.
        seed: of the draws; the same for all scores, so that they are paired.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return Interval(np.nan, np.nan, np.nan, 0)
    if len(known) == 1:
        return Interval(float(known[0]), np.nan, np.nan, 1)
    rng = np.random.default_rng([seed, 0x7A26])
    picks = rng.integers(len(known), size=(resamples, len(known)))
    low, high = np.quantile(known[picks].mean(axis=1), _ends(level))
    return Interval(float(known.mean()), float(low), float(high), len(known))


def over_models(
    measure: Measure,
    scores: Float[np.ndarray, "targets sources"],
    measured: Float[np.ndarray, "targets sources"],
    *,
    level: float = 0.9,
    resamples: int = 200,
    seed: int = 0,
) -> Interval:
    """Return the mean over targets, and its interval for other sources of the kind.

    Sources are drawn with replacement, the same ones on every target.

    Args:
        measure: of scores and performances.
        scores: NaN where there is none.
        measured: likewise.
        level: share of intervals that should hold the value of all such sources.
        resamples: how often sources are drawn.
        seed: of the draws.

    Returns:
        Ends are NaN with fewer than 3 sources, and where the measure is undefined in
        most resamples.
    """
    value, count = _mean(by_target(measure, scores, measured)), scores.shape[1]
    rng = np.random.default_rng([seed, 0x50C5])
    picks = rng.integers(count, size=(resamples, count))
    drawn = np.array(
        [_mean(by_target(measure, scores[:, i], measured[:, i])) for i in picks]
    )
    known = drawn[np.isfinite(drawn)]
    if count < 3 or 2 * len(known) <= resamples:
        return Interval(value, np.nan, np.nan, count)
    low, high = np.quantile(known, _ends(level))
    return Interval(value, float(low), float(high), count)


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _ends(level: float) -> list[float]:
    if not 0 < level < 1:
        raise ValueError(f"level: {level} is not within (0, 1)")
    return [(1 - level) / 2, (1 + level) / 2]

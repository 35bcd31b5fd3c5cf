"""What is believed of the sources of a race: scores before, short runs after."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from jaxtyping import Float
from scipy.stats import norm, rankdata

CORRELATION = 0.5  # of scores with the end: how far they are trusted before a race
DRAWS = 20_000  # of the beliefs, that probabilities are counted in


@dataclasses.dataclass(frozen=True, eq=False)
class Beliefs:
    """A normal distribution of where every source ends."""

    mean: Float[np.ndarray, " s"]
    variance: Float[np.ndarray, " s"]

    def probability_best(self) -> Float[np.ndarray, " s"]:
        """Return the probability of every source to end first."""
        first = self._drawn().argmax(axis=1)
        return np.bincount(first, minlength=len(self.mean)) / DRAWS

    def expected_loss(self) -> float:
        """Return what the source of the highest mean is expected to lose to the best.

        In the unit of what is measured, at least 0.
        """
        drawn = self._drawn()
        lost = drawn.max(axis=1) - drawn[:, int(np.argmax(self.mean))]
        return float(lost.mean())

    def _drawn(self) -> Float[np.ndarray, "draws s"]:
        normal = np.random.default_rng(0).standard_normal((DRAWS, len(self.mean)))
        return self.mean + np.sqrt(self.variance) * normal


def standing(scores: Float[np.ndarray, " s"]) -> Float[np.ndarray, " s"]:
    """Return scores as normal quantiles of their ranks; the mean where all are equal.

    A source without a score (NaN) has the mean, 0.
    """
    known = np.isfinite(scores)
    found = np.zeros(len(scores))
    if known.any():
        found[known] = norm.ppf((rankdata(scores[known]) - 0.5) / known.sum())
    return found


def believed(
    prior: Float[np.ndarray, " s"],
    values: Float[np.ndarray, "s stages"],
    errors: Float[np.ndarray, " s"],
    steps: Float[np.ndarray, " stages"],
    *,
    total: int,
    correlation: float = CORRELATION,
) -> Beliefs:
    r"""Combine what scores say with what short runs showed, by precision.

    With mean $\bar x$ and deviation $\sigma$ of the last values, the prior of a source
    is normal with mean $\bar x + \rho \sigma (z - \bar z)$ and variance $\sigma^2 (1 -
    \rho^2)$. A run of t steps observes the end with the variance $q (T - t) + e^2$: q
    is the variance per step by which sources moved against each other between the last
    two stages, $\sigma^2 / T$ before there are two; e the error of cross-validation.
    A source that stayed behind is taken to have grown as those did that went on.

    A prior that misleads costs little: $\rho$ is at most the correlation of z with the
    first stage, and 0 where that is negative.

    Args:
        prior: `standing` of the scores.
        values: cross-validated, after every stage so far; NaN where it did not run.
        errors: standard errors of the last ones.
        steps: after which they were measured.
        total: steps of a whole run.
        correlation: of scores with the end, as far as one trusts them beforehand.

    Returns:
        What is believed of every source, those that never ran included.
    """
    ran, on = np.isfinite(values[:, 0]), np.isfinite(values[:, -1])
    stage = np.isfinite(values).sum(axis=1) - 1  # the last one, -1 for none
    grown = (values[on, -1:] - values[on]).mean(axis=0)
    last = np.where(ran, values[np.arange(len(values)), stage] + grown[stage], np.nan)
    spread = max(_deviation(last[ran]), 1e-6)
    rho = min(correlation, max(_correlation(prior[ran], values[ran, 0]), 0.0))
    per_step = spread**2 / total
    if values.shape[1] > 1 and on.sum() > 1:
        moved = values[on, -1] - values[on, -2]
        per_step = _deviation(moved) ** 2 / (steps[-1] - steps[-2])
    error = np.maximum(errors, 1e-6) ** 2
    seen = np.where(ran, 1 / (per_step * (total - steps[stage]) + error), 0)
    before = 1 / (spread**2 * (1 - rho**2))
    expected = last[ran].mean() + rho * spread * (prior - prior[ran].mean())
    mean = expected * before + np.where(ran, last, 0) * seen
    return Beliefs(mean / (before + seen), 1 / (before + seen))


def _deviation(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


@dataclasses.dataclass(frozen=True)
class Schedule:
    """Stages of a race: steps at their ends, and how many sources run in each."""

    steps: tuple[int, ...]
    sources: tuple[int, ...]

    def cost(self, folds: int) -> int:
        """Return the optimiser steps of all runs."""
        begun = (0, *self.steps[:-1])
        parts = zip(self.steps, begun, self.sources, strict=True)
        return folds * sum((end - start) * count for end, start, count in parts)


def schedule(sources: int, total: int, *, folds: int, budget: int) -> Schedule | None:
    """Return the widest race of four stages that a budget allows.

    All sources run as far as they can: to the end of every stage, or else half or a
    third of them go on to the next one (successive halving). Where that is too much
    for all sources, those that the scores put first run.

    Args:
        sources: how many there are.
        total: steps of a whole run.
        folds: runs of every source.
        budget: steps for the race, without the final run.

    Returns:
        None where the budget is too small for a race of two.
    """
    steps = tuple(sorted({max(1, round(total / 2**k)) for k in (3, 2, 1, 0)}))
    for count in range(sources, 1, -1):
        for keep in (1, 2, 3):
            alive = [max(1, math.ceil(count / keep**k)) for k in range(len(steps))]
            found = Schedule(steps, tuple(alive))
            if found.cost(folds) <= budget:
                return found
    return None

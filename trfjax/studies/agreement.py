"""How well scores predict what was measured, as values."""

from __future__ import annotations

import dataclasses

import numpy as np

from trfjax.ranking.result import Ranking
from trfjax.statistics.correlation import pearson, spearman
from trfjax.statistics.reliability import reliability
from trfjax.studies.study import Measured
from trfjax.transfer.empirical import MEASURES


@dataclasses.dataclass(frozen=True, kw_only=True)
class Agreement:
    """The agreement of the scores of a ranking with one measure of transfer."""

    measure: str
    sources: int
    reliability: float  # mean Spearman of two seeds; NaN where there is one
    pearson: dict[str, float]  # by score
    spearman: dict[str, float]

    @property
    def standard_error(self) -> float:
        """Of a Spearman correlation over so many sources, when there is none."""
        return 1 / np.sqrt(max(self.sources - 1, 1))


def agreement(ranking: Ranking, measured: Measured) -> tuple[Agreement, ...]:
    """Return the correlations of every score with every measure.

    Args:
        ranking: the scores.
        measured: transfer by source and measure, one value per seed.
    """
    return tuple(_agreement(ranking, measured, measure) for measure in MEASURES)


def _agreement(ranking: Ranking, measured: Measured, measure: str) -> Agreement:
    values = np.array([found[measure] for found in measured.values()])
    rho, r = {}, {}
    for metric in ranking.metrics:
        cells = {c.source: c.score for c in ranking.column(metric)}
        scores = np.array([cells[name] for name in measured])
        rho[metric] = float(spearman(scores, values.mean(axis=1)))
        r[metric] = float(pearson(scores, values.mean(axis=1)))
    return Agreement(
        measure=measure,
        sources=len(values),
        reliability=reliability(values) if values.shape[1] > 1 else float("nan"),
        pearson=r,
        spearman=rho,
    )

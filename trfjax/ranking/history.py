"""What earlier transfers teach about the next one: a fitted model, as a value."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.stats import t as student

from trfjax.files import read_table

DRAWS = 20_000  # of the joint prediction, for probabilities


class Predicted(NamedTuple):
    """Predicted transfer of every row, with the ends of its interval."""

    mean: Float[np.ndarray, " n"]
    low: Float[np.ndarray, " n"]
    high: Float[np.ndarray, " n"]


@dataclasses.dataclass(frozen=True, eq=False)
class History:
    r"""A mixed model of measured transfer, fitted by `fit_history`.

    $$y_{st} = \mu + \sum_k \beta_k x_{kst} + b_s + c_t + e_{st}$$

    with scores $x_k$ (centred over the sources of a target where `centred`), source
    effects $b_s$, target effects $c_t$ and residuals $e_{st}$, all normal. Effects are
    shrunk by their own uncertainty; a source or target that is not in the history has
    the mean 0 and the whole variance of its kind.
    """

    scores: tuple[str, ...]
    measured: str  # the name of y
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    centred: bool  # scores enter as differences to the mean of their target
    scale: Float[np.ndarray, " k"]  # of each score, before its slope
    estimates: Float[np.ndarray, " q"]  # intercept, slopes, source and target effects
    covariance: Float[np.ndarray, "q q"]  # of the errors of the estimates
    source_variance: float
    target_variance: float
    residual_variance: float  # of one measurement around the model
    rows: int  # measured transfers it was fitted to

    @property
    def slopes(self) -> dict[str, float]:
        """The change of the measured transfer with one unit of each score."""
        found = self.estimates[1 : 1 + len(self.scores)] / self.scale
        return dict(zip(self.scores, found.tolist(), strict=True))

    @property
    def intercept(self) -> float:
        """The mean transfer, where all scores are 0 (or as their target's mean)."""
        return float(self.estimates[0])

    @property
    def source_effects(self) -> dict[str, tuple[float, float]]:
        """How much better every source does than its scores say, and the error."""
        start = 1 + len(self.scores)
        error = np.sqrt(np.diag(self.covariance))
        return {
            name: (float(self.estimates[start + i]), float(error[start + i]))
            for i, name in enumerate(self.sources)
        }

    def predict(self, table: Any, *, level: float = 0.9) -> Predicted:
        """Predict the measured transfer of every row of a table.

        Args:
            table: columns `source`, `target` and the scores: a mapping, or the path of
                a CSV or Parquet file. The rows of one target are taken together: where
                scores are centred, they must be the candidates one has.
            level: share of the intervals that should hold what will be measured.

        Returns:
            Means and intervals, in the unit of what was measured.

        Raises:
            ValueError: a column that is missing, values that are not finite, a level
                outside (0, 1).
        """
        if not 0 < level < 1:
            raise ValueError(f"level: {level} is not within (0, 1)")
        mean, covariance = self.joint(table)
        reach = student.ppf((1 + level) / 2, self.degrees) * np.sqrt(
            np.diag(covariance)
        )
        return Predicted(mean, mean - reach, mean + reach)

    def joint(
        self, table: Any
    ) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n n"]]:
        """Return means and covariance of what will be measured in the rows of a table.

        Args:
            table: as for `predict`.
        """
        source, target, scores = read_columns(table, self.scores)
        design = self.design(source, target, scores)
        # Rows share the effect of a new source or target, and nothing else.
        covariance = design @ self.covariance @ design.T
        for names, known, variance in (
            (source, self.sources, self.source_variance),
            (target, self.targets, self.target_variance),
        ):
            new = ~np.isin(names, known)
            shared = (names[:, None] == names[None]) & new[:, None] & new[None]
            covariance += variance * shared
        covariance += self.residual_variance * np.eye(len(design))
        return design @ self.estimates, covariance

    def probability_best(
        self, table: Any, *, within: float = 0.0, seed: int = 0
    ) -> Float[np.ndarray, " n"]:
        """Return the probability of every row to measure best of its target.

        Args:
            table: as for `predict`.
            within: count a row that is at most this far below the best, in the unit of
                what was measured; with 0 the probabilities of a target sum to 1.
            seed: of the draws from the joint prediction.

        Returns:
            `(n,)`, in the order of the table.
        """
        target = read_columns(table, self.scores)[1]
        mean, covariance = self.joint(table)
        rng = np.random.default_rng(seed)
        drawn = rng.multivariate_normal(
            np.zeros(len(mean)), covariance, size=DRAWS, method="eigh"
        )
        spread = np.sqrt(self.degrees / rng.chisquare(self.degrees, size=(DRAWS, 1)))
        values = mean + drawn * spread
        found = np.empty(len(mean))
        for name in np.unique(target):
            part = values[:, target == name]
            best = part.max(axis=1, keepdims=True)
            found[target == name] = (part >= best - within).mean(axis=0)
        return found

    @property
    def degrees(self) -> int:
        """Degrees of freedom of the intervals: those of the target effects."""
        return max(len(self.targets) - 1, 1)

    def design(
        self,
        source: np.ndarray,
        target: np.ndarray,
        scores: Float[np.ndarray, "n k"],
    ) -> Float[np.ndarray, "n q"]:
        """Return the rows that multiply the estimates.

        Args:
            source: names of the sources.
            target: names of the targets.
            scores: one column a score.

        Returns:
            `(n, q)`, one column an estimate.
        """
        if self.centred:
            scores = centred_by(target, scores)
        return np.concatenate(
            [
                np.ones((len(source), 1)),
                scores / self.scale,
                indicators(source, self.sources),
                indicators(target, self.targets),
            ],
            axis=1,
        )


def centred_by(
    target: np.ndarray, scores: Float[np.ndarray, "n k"]
) -> Float[np.ndarray, "n k"]:
    """Return scores less their mean over the rows of the same target."""
    found = scores.copy()
    for name in np.unique(target):
        found[target == name] -= scores[target == name].mean(axis=0)
    return found


def indicators(
    names: np.ndarray, known: Sequence[str]
) -> Float[np.ndarray, "n levels"]:
    """Return one column a known name: 1 in its rows, 0 elsewhere."""
    return (names[:, None] == np.array(known, object)).astype(np.float64)


def read_columns(
    table: Any, scores: Sequence[str], measured: str | None = None
) -> tuple[Any, ...]:
    """Return source and target names, scores `(n, k)`, and what was measured.

    Args:
        table: a mapping of columns, or the path of a CSV or Parquet file.
        scores: names of the score columns.
        measured: name of the measured column, returned last where it is asked for.

    Raises:
        ValueError: a column that is missing, of another length, or not finite.
    """
    columns = table if isinstance(table, Mapping) else read_table(table)
    wanted = ["source", "target", *scores, *([] if measured is None else [measured])]
    missing = [name for name in wanted if name not in columns]
    if missing:
        raise ValueError(
            f"table: no column {missing[0]!r}; there are {', '.join(map(str, columns))}"
        )
    lengths = {name: len(columns[name]) for name in wanted}
    if len(set(lengths.values())) > 1 or not lengths["source"]:
        raise ValueError(f"table: columns must be equally long, at least 1: {lengths}")
    names = [
        np.array([str(v) for v in columns[n]], object) for n in ("source", "target")
    ]
    values = [_numbers(name, columns[name]) for name in wanted[2:]]
    count = lengths["source"]
    matrix = (
        np.stack([*values[: len(scores)]], axis=1) if scores else np.zeros((count, 0))
    )
    return (*names, matrix) if measured is None else (*names, matrix, values[-1])


def _numbers(name: str, column: Any) -> Float[np.ndarray, " n"]:
    try:
        values = np.asarray(column, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"table: column {name!r} holds other than numbers") from error
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise ValueError(
            f"table: column {name!r} has {len(bad)} values that are not finite, the "
            f"first in row {bad[0]}; leave those rows out"
        )
    return values

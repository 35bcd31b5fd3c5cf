"""PARC: are instances of one class more alike than others, by rank?"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Collection
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from trfjax.arrays import is_traced, labelled_rows
from trfjax.errors import ScoreWarning
from trfjax.promotion import usual_promotion
from trfjax.scores.spec import ScoreSpec, laws
from trfjax.scores.thinning import check_limit, thinned
from trfjax.statistics.resamples import Resamples
from trfjax.typing import IGNORE, ArrayInput, Count

DIGITS = 12  # of a distance; what differs less is a tie


def parc(
    features: ArrayInput,
    labels: ArrayInput,
    *,
    num_classes: Count | None = None,
    weights: ArrayInput | None = None,
    ignore: int | Collection[int] = IGNORE,
    num_samples: int = 1_000,
) -> Float[Array, ""]:
    r"""PARC: rank correlation of distances of features with distances of labels.

    Every feature is standardised; then over all pairs of instances

    $$\operatorname{Spearman}\bigl(1 - \operatorname{corr}(f_i, f_j),\;
    1 - \operatorname{corr}(e_{y_i}, e_{y_j})\bigr)$$

    with the correlation of two rows over their columns, and one-hot labels e. The
    second takes two values, so that only the first is ranked, ties by mean ranks.

    Args:
        features: `(n, d)` or `(b, h, w, d)` features of the target instances. A
            feature that does not vary stays 0.
        labels: target ids, `(n,)` or `(b, h, w)`.
        num_classes: number of target classes; None re-indexes the ids present.
        weights: multiplicity of every instance; uniform by default.
        ignore: the label, or labels, that count for nothing.
        num_samples: instances looked at, evenly spaced in their order; every pair of
            them is ranked.

    Returns:
        A number in `[-1, 1]` (published tables have 100 times that); larger means more
        transferable. NaN for a single class.

    Raises:
        TypeError, ValueError: arrays that do not fit, labels out of range, nothing
            left to score; a call under `jit`.

    Warns:
        ScoreWarning: rows without variance, which have no correlation and are left
            out; fewer than two classes.

    Reference:
        Bolya, Mittapalli and Hoffman, "Scalable Diverse Model Selection for Accessible
        Transfer Learning", NeurIPS 2021, Section 4.
    """
    pairs = ranked_pairs(
        features,
        labels,
        num_classes=num_classes,
        weights=weights,
        ignore=ignore,
        num_samples=num_samples,
    )
    value = pairs.score(pairs.weights)
    if np.isnan(value):
        warnings.warn(
            "parc: fewer than two classes, so there is nothing to rank",
            ScoreWarning,
            stacklevel=2,
        )
    return jnp.asarray(value)


class RankedPairs(NamedTuple):
    """All pairs of instances, nearest first."""

    first: Int[np.ndarray, " p"]
    second: Int[np.ndarray, " p"]
    same: Bool[np.ndarray, " p"]  # of one class
    start: Int[np.ndarray, " t"]  # of every group of equal distances
    weights: Float[np.ndarray, " n"]  # of the instances
    origin: Int[np.ndarray, " n"]  # of the instances, among all that were given

    def score(self, weights: Float[np.ndarray, " n"]) -> float:
        """Return PARC with these multiplicities of the instances."""
        counts = weights[self.first] * weights[self.second]
        # Copies of an instance are pairs too: at distance 0, of one class.
        copies = np.sum(weights * (weights - 1)) / 2
        held = np.concatenate([[max(copies, 0)], np.add.reduceat(counts, self.start)])
        same = np.add.reduceat(counts * self.same, self.start)
        same = np.concatenate([[max(copies, 0)], same])
        total = held.sum()
        if not total > 0:
            return float("nan")
        rank = np.cumsum(held) - held / 2 - total / 2  # its mean is 0
        spread = np.sum(held * rank**2) * same.sum() * (1 - same.sum() / total)
        if not spread > 0:
            return float("nan")
        # A pair of one class is near: the label distance falls where `same` rises.
        return float(-np.sum(same * rank) / np.sqrt(spread))


def ranked_pairs(
    features: ArrayInput,
    labels: ArrayInput,
    *,
    num_classes: Count | None = None,
    weights: ArrayInput | None = None,
    ignore: int | Collection[int] = IGNORE,
    num_samples: int = 1_000,
) -> RankedPairs:
    """Return the pairs in the order of their distance; takes what `parc` takes.

    Scores of resampled instances follow from it, with the scale of the features kept.
    """
    check_limit(num_samples)
    rows = labelled_rows(
        features, labels, num_classes=num_classes, weights=weights, ignore=ignore
    )
    if is_traced(rows.features, rows.labels, rows.weights):
        raise ValueError("parc: not defined under jit; call it on concrete arrays")
    rows, index = thinned(rows, num_samples)
    counts = np.asarray(rows.weights, np.float64)
    standard = _standardised(np.asarray(rows.features, np.float64), counts)
    centred = standard - standard.mean(axis=1, keepdims=True)
    length = np.sqrt(np.sum(centred**2, axis=1))
    varies = length > 1e-9 * max(length.max(), 1e-300)
    if not varies.all():
        warnings.warn(
            f"parc: {int((~varies).sum())} instances with the same value in every "
            "standardised feature have no correlation and are left out",
            ScoreWarning,
            stacklevel=3,
        )
    unit = centred[varies] / length[varies, None]
    ids = np.asarray(rows.labels)[varies]
    first, second = np.triu_indices(len(unit), 1)
    distance = np.round(1 - (unit @ unit.T)[first, second], DIGITS)
    order = np.argsort(distance, kind="stable")
    first, second, distance = first[order], second[order], distance[order]
    start = np.flatnonzero(np.diff(distance, prepend=-np.inf) > 0)
    same = ids[first] == ids[second]
    return RankedPairs(
        first=first,
        second=second,
        same=same,
        start=start,
        weights=counts[varies],
        origin=index[varies],
    )


def _standardised(
    rows: Float[np.ndarray, "n d"], weights: Float[np.ndarray, " n"]
) -> Float[np.ndarray, "n d"]:
    share = weights / weights.sum()
    centred = rows - share @ rows
    spread = np.sqrt(share @ centred**2)
    constant = spread <= 1e-7 * np.sqrt(share @ rows**2)
    return np.where(constant, 0, centred / np.where(constant, 1, spread))


@dataclasses.dataclass(frozen=True, eq=False)
class _Ranked:
    """The score, and the pairs it was computed from."""

    score: float
    pairs: RankedPairs


@usual_promotion
def _ranked(features: ArrayInput, labels: ArrayInput, **settings: Any) -> _Ranked:
    pairs = ranked_pairs(features, labels, **settings)
    return _Ranked(pairs.score(pairs.weights), pairs)


def _resampled(
    result: _Ranked,
    *,
    labels: np.ndarray,
    images: Int[np.ndarray, " n"],
    resamples: Resamples,
    seed: int,
) -> Float[np.ndarray, " b"]:
    """Return PARC of every resample of the images, with the scale of features kept."""
    del labels, seed
    place = images[result.pairs.origin]
    rows = resamples.rows.astype(np.float64)
    return np.array([result.pairs.score(row[place]) for row in rows])


SPEC = ScoreSpec(
    name="parc",
    function=_ranked,
    inputs=("target_features",),
    title="PARC",
    unit="",
    bounds=lambda labels, arrays: (-1.0, 1.0),
    floor=lambda share: 0.0,
    laws=laws("shift", "scale"),
    resampled=_resampled,
    transforms=False,
    differentiable=False,
    rtol=1e-4,
)

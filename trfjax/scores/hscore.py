"""H-score: how much of the features' variance the target labels explain."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Collection, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient
from jaxtyping import Array, Float, Int

from trfjax.arrays import Rows, is_traced, labelled_rows, safe_divide, to_array
from trfjax.errors import ScoreWarning
from trfjax.promotion import usual_promotion
from trfjax.scores.bounds import SEPARATION
from trfjax.scores.hscore_sums import h_score_of_moments, saturated, score_of_sums
from trfjax.scores.spec import OfSums, ScoreSpec, laws, shares
from trfjax.scores.sums import is_many, sums_of
from trfjax.scores.whitening import (
    centre,
    decompose,
    default_rcond,
    dot,
    factor_of,
    root,
    with_gradient_of,
)
from trfjax.typing import IGNORE, AnyArray, ArrayInput, Count, Features, Labels, Weights


class _HScore(NamedTuple):
    """The score, and the numerical rank of the features."""

    score: Float[Array, ""]
    rank: Int[Array, ""]


@usual_promotion
def h_score(
    features: ArrayInput,
    labels: ArrayInput,
    *,
    num_classes: Count | None = None,
    weights: ArrayInput | None = None,
    ignore: int | Collection[int] = IGNORE,
    rcond: float | None = None,
) -> Float[Array, ""]:
    r"""H-score: between-class variance of the whitened features.

    $$H = \operatorname{tr}(\Sigma^{+} \Sigma_B)$$

    with the covariance $\Sigma$ of the features and that of their class means. It is
    the sum of the squared canonical correlations of features and labels, so it does
    not change under any invertible affine map of the features.

    Args:
        features: `(n, d)` or `(b, h, w, d)` features of the target instances.
        labels: target ids, `(n,)` or `(b, h, w)`.
        num_classes: number of target classes; None re-indexes the ids present.
        weights: non-negative weight of every instance; uniform by default.
        ignore: the label, or labels, that count for nothing.
        rcond: singular values of the centred features up to `rcond` times the largest
            count as 0. Default `10 d eps`, with the eps of float32 unless the features
            came as float64 and x64 is enabled.

    Returns:
        A number in `[0, min(rank, classes - 1)]`, no unit; larger means more
        transferable. 0 for a single class.

    Raises:
        TypeError, ValueError: arrays that do not fit, labels out of range, a negative
            `rcond`, nothing left to score.

    Warns:
        ScoreWarning: fewer instances than three times the rank of the features; at
            `n - 1 <= rank` the value is `classes - 1` whatever the labels are.

    Reference:
        Bao et al., "An Information-Theoretic Approach to Transferability in Task
        Transfer Learning", ICIP 2019.
    """
    rows, cut = _rows(features, labels, num_classes, weights, ignore, rcond)
    found = _of_rows(rows, cut)
    if not is_traced(found.score):
        n, rank = int((np.asarray(rows.weights) > 0).sum()), int(found.rank)
        if n < 3 * rank:
            warnings.warn(saturated(n, rank), ScoreWarning, stacklevel=2)
    return found.score


@usual_promotion
def h_score_rank(
    features: ArrayInput,
    labels: ArrayInput,
    *,
    num_classes: Count | None = None,
    weights: ArrayInput | None = None,
    ignore: int | Collection[int] = IGNORE,
    rcond: float | None = None,
) -> Int[Array, ""]:
    """Return the numerical rank of the centred features that `h_score` works with.

    The arguments are those of `h_score`.
    """
    rows, cut = _rows(features, labels, num_classes, weights, ignore, rcond)
    return _of_rows(rows, cut).rank


def _of_rows(rows: Rows, cut: float) -> _HScore:
    if is_many(rows):
        found = sums_of(rows, centred=True, by_column=True)
        score, rank = score_of_sums(found.counts, found.sums, found.products, cut**2)
        return _HScore(jnp.asarray(score, rows.features.dtype), jnp.asarray(rank))
    return _h_score(
        rows.features, rows.labels, rows.weights, cut, num_classes=rows.num_classes
    )


def _rows(
    features: ArrayInput,
    labels: ArrayInput,
    num_classes: Count | None,
    weights: ArrayInput | None,
    ignore: int | Collection[int],
    rcond: float | None,
) -> tuple[Rows, float]:
    if rcond is not None and not rcond >= 0:
        raise ValueError(f"rcond: {rcond} is not a number >= 0")
    features = to_array("features", features)
    rows = labelled_rows(
        features, labels, num_classes=num_classes, weights=weights, ignore=ignore
    )
    # Features that were rounded to float32 keep that noise in float64.
    exact = features.dtype == rows.features.dtype == np.float64
    default = default_rcond(rows.features.shape[1], exact=exact)
    return rows, default if rcond is None else float(rcond)


@functools.partial(jax.jit, static_argnames="num_classes")
def _h_score(
    features: Features,
    labels: Labels,
    weights: Weights,
    rcond: float | Float[Array, ""],
    *,
    num_classes: int,
) -> _HScore:
    share, centred, member = centre(
        features, labels, weights, num_classes, by_column=True
    )
    # H does not change when a feature is scaled, but what counts as 0 does.
    spread = root(dot(share, jnp.square(centred)))[:, 0]
    centred = centred * factor_of(spread[None], by_column=True)
    left, size, right = decompose(share, centred)
    kept = size > rcond * size[0]
    along = jnp.where(kept[:, None], dot(left.T, root(share) * member), 0)
    value = jnp.sum(jnp.square(along))
    # H = max_W 2<Y, FW> - <FW, FW>: at the maximiser the derivative of W drops out, and
    # with it that of the singular vectors, which has poles.
    solution = dot(right.T, safe_divide(along, jnp.where(kept, size, 0)[:, None]))
    fit = dot(centred, stop_gradient(solution))
    bound = jnp.sum(share[:, None] * fit * (2 * member - fit))
    return _HScore(with_gradient_of(value, bound), kept.sum())


def h_bounds(labels: np.ndarray, arrays: Mapping[str, AnyArray]) -> tuple[float, float]:
    """Return 0 and the largest H-score of these labels and that many features."""
    features = np.asarray(arrays["target_features"])
    rank = min(features.shape[-1], features.size // features.shape[-1] - 1)
    return 0.0, float(min(len(shares(labels)) - 1, rank))


SPEC = ScoreSpec(
    name="h_score",
    function=h_score,
    inputs=("target_features",),
    title="H-score",
    unit="",
    bounds=h_bounds,
    floor=lambda share: 0.0,
    limits=lambda share: (0.0, float(np.sum(share > 0) - 1)),
    explained=SEPARATION,
    laws=laws("duplicates", "rotation", "shift", "scale", "zero_feature"),
    merging_targets="not higher",
    of_sums=OfSums(tables=("target_moments",), replicates=h_score_of_moments),
    rtol=1e-4,
)

"""H-score: how much of the features' variance the target labels explain."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Collection
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient
from jaxtyping import Array, Float, Int

from trfjax.arrays import Rows, is_traced, labelled_rows, safe_divide, to_array
from trfjax.errors import ScoreWarning
from trfjax.typing import IGNORE, ArrayInput, Features, Labels, Weights


def h_score(
    features: ArrayInput,
    labels: ArrayInput,
    *,
    num_classes: int | None = None,
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
    found = _h_score(
        rows.features, rows.labels, rows.weights, cut, num_classes=rows.num_classes
    )
    if not is_traced(found.score):
        n, rank = int((rows.weights > 0).sum()), int(found.rank)
        if n < 3 * rank:
            warnings.warn(
                f"h_score: {n} instances for features of rank {rank}; below "
                f"{3 * rank} the value is mostly chance. Use shrunk_h_score, or reduce "
                "the features first.",
                ScoreWarning,
                stacklevel=2,
            )
    return found.score


def h_score_rank(
    features: ArrayInput,
    labels: ArrayInput,
    *,
    num_classes: int | None = None,
    weights: ArrayInput | None = None,
    ignore: int | Collection[int] = IGNORE,
    rcond: float | None = None,
) -> Int[Array, ""]:
    """Return the numerical rank of the centred features that `h_score` works with.

    The arguments are those of `h_score`.
    """
    rows, cut = _rows(features, labels, num_classes, weights, ignore, rcond)
    return _h_score(
        rows.features, rows.labels, rows.weights, cut, num_classes=rows.num_classes
    ).rank


def shrunk_h_score(
    features: ArrayInput,
    labels: ArrayInput,
    *,
    num_classes: int | None = None,
    weights: ArrayInput | None = None,
    ignore: int | Collection[int] = IGNORE,
    ddof: Literal["reference", "consistent"] = "reference",
) -> Float[Array, ""]:
    r"""Shrunk H-score: the H-score with a Ledoit-Wolf covariance.

    $$H_\alpha = (1-\alpha) \operatorname{tr}(\Sigma_\alpha^{-1} \Sigma_B), \qquad
    \Sigma_\alpha = (1-\alpha) S + \alpha \tfrac{\operatorname{tr} S}{d} I$$

    It means something for fewer instances than features, where the H-score does not.
    It does not change under rotation, shift and uniform scaling of the features; it
    does when single features are scaled.

    Args:
        features: `(n, d)` or `(b, h, w, d)` features of the target instances.
        labels: target ids, `(n,)` or `(b, h, w)`.
        num_classes: number of target classes; None re-indexes the ids present.
        weights: multiplicity of every instance; the intensity depends on their sum.
        ignore: the label, or labels, that count for nothing.
        ddof: `"reference"` divides $S$ by n and $\Sigma_B$ by n - 1, as published
            code does; `"consistent"` divides both by n.

    Returns:
        A number in `[0, classes - 1]` (`"consistent"`), no unit; larger means more
        transferable. 0 for a single class and for a full intensity.

    Raises:
        TypeError, ValueError: arrays that do not fit, labels out of range, nothing
            left to score.

    Warns:
        ScoreWarning: the intensity is 1, so that the value is 0 for any labels.

    Reference:
        Ibrahim, Ponomareva and Mazumder, "Newer is not always better: Rethinking
        transferability metrics, their peculiarities, stability and performance",
        ECML PKDD 2022. Intensity: Ledoit and Wolf, "A well-conditioned estimator for
        large-dimensional covariance matrices", J. Multivariate Analysis 88, 2004.
    """
    if ddof not in ("reference", "consistent"):
        raise ValueError(f"ddof: {ddof!r} is neither 'reference' nor 'consistent'")
    rows, _ = _rows(features, labels, num_classes, weights, ignore, None)
    found = _shrunk_h_score(
        rows.features, rows.labels, rows.weights,
        num_classes=rows.num_classes, ddof=ddof,
    )  # fmt: skip
    if not is_traced(found.score) and float(found.intensity) == 1:
        warnings.warn(
            "shrunk_h_score: the shrinkage intensity is 1 (features near isotropic for "
            "so few instances), so the score is 0 for any labels. Use more instances.",
            ScoreWarning,
            stacklevel=2,
        )
    return found.score


def _rows(
    features: ArrayInput,
    labels: ArrayInput,
    num_classes: int | None,
    weights: ArrayInput | None,
    ignore: int | Collection[int],
    rcond: float | None,
) -> tuple[Rows, float]:
    if rcond is not None and not rcond >= 0:
        raise ValueError(f"rcond: {rcond} is not a number >= 0")
    features = to_array("features", features)
    rows = labelled_rows(
        ("features", "labels"), features, labels,
        num_classes=num_classes, weights=weights, ignore=ignore,
    )  # fmt: skip
    # Features that were rounded to float32 keep that noise in float64.
    exact = features.dtype == rows.features.dtype == np.float64
    default = default_rcond(rows.features.shape[1], exact=exact)
    return rows, default if rcond is None else float(rcond)


def default_rcond(d: int, *, exact: bool = False) -> float:
    """Return the relative size of the singular values that rounding can fake."""
    return 10 * d * float(np.finfo(np.float64 if exact else np.float32).eps)


class _HScore(NamedTuple):
    score: Float[Array, ""]
    rank: Int[Array, ""]


class _Shrunk(NamedTuple):
    score: Float[Array, ""]
    intensity: Float[Array, ""]


@functools.partial(jax.jit, static_argnames="num_classes")
def h_score_core(
    features: Features,
    labels: Labels,
    weights: Weights,
    *,
    num_classes: int,
    rcond: float | Float[Array, ""] | None = None,
) -> Float[Array, ""]:
    """Return the H-score of indexed labels; rows of weight 0 count for nothing."""
    if rcond is None:
        exact = features.dtype == np.float64
        rcond = default_rcond(features.shape[1], exact=exact)
    return _h_score(features, labels, weights, rcond, num_classes=num_classes).score


@functools.partial(jax.jit, static_argnames=("num_classes", "ddof"))
def shrunk_h_score_core(
    features: Features,
    labels: Labels,
    weights: Weights,
    *,
    num_classes: int,
    ddof: str = "reference",
) -> Float[Array, ""]:
    """Return the shrunk H-score of indexed labels; weight 0 counts for nothing."""
    return _shrunk_h_score(
        features, labels, weights, num_classes=num_classes, ddof=ddof
    ).score


@functools.partial(jax.jit, static_argnames="num_classes")
def _h_score(
    features: Features,
    labels: Labels,
    weights: Weights,
    rcond: float | Float[Array, ""],
    *,
    num_classes: int,
) -> _HScore:
    share, centred, member = _centre(features, labels, weights, num_classes)
    left, size, right = _svd(share, centred)
    kept = size > rcond * size[0]
    along = jnp.where(kept[:, None], _dot(left.T, _root(share) * member), 0)
    value = jnp.sum(jnp.square(along))
    # H = max_W 2<Y, FW> - <FW, FW>: at the maximiser the derivative of W drops out, and
    # with it that of the singular vectors, which has poles.
    solution = _dot(right.T, safe_divide(along, jnp.where(kept, size, 0)[:, None]))
    fit = _dot(centred, stop_gradient(solution))
    bound = jnp.sum(share[:, None] * fit * (2 * member - fit))
    return _HScore(_with_gradient_of(value, bound), kept.sum())


@functools.partial(jax.jit, static_argnames=("num_classes", "ddof"))
def _shrunk_h_score(
    features: Features, labels: Labels, weights: Weights, *, num_classes: int, ddof: str
) -> _Shrunk:
    share, centred, member = _centre(features, labels, weights, num_classes)
    n = weights.sum()
    intensity, level = shrinkage(centred, share, n)
    left, size, right = _svd(share, centred)
    keep, ridge = 1 - stop_gradient(intensity), stop_gradient(intensity * level)
    along = _dot(left.T, _root(share) * member)  # (k, c)
    solved = safe_divide(size, keep * size**2 + ridge)[:, None] * along
    value = keep * jnp.sum(size[:, None] * along * solved)
    # The same maximum as in _h_score, with the ridge added.
    solution = stop_gradient(_dot(right.T, solved))
    fit = _dot(centred, solution)
    bound = 2 * jnp.sum(share[:, None] * fit * member)
    bound -= (1 - intensity) * jnp.sum(share[:, None] * jnp.square(fit))
    bound -= intensity * level * jnp.sum(jnp.square(solution))
    scale = n / (n - 1) if ddof == "reference" else 1
    score = scale * _with_gradient_of(value, (1 - intensity) * bound)
    return _Shrunk(score, intensity)


def shrinkage(
    centred: Float[Array, "n d"], share: Float[Array, " n"], n: Float[Array, ""]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    r"""Return the Ledoit-Wolf intensity and the mean variance it shrinks towards.

    $\alpha = \operatorname{clip}(\beta / \delta, 0, 1)$ with
    $\delta = \|S - mI\|^2 / d$, $\beta = \sum_i \|f_i f_i^T - S\|^2 / (n^2 d)$.
    One feature is never shrunk.
    """
    rows, d = centred.shape
    squared = jnp.sum(jnp.square(centred), axis=1)
    level = jnp.sum(share * squared) / d
    half = _root(share) * centred
    gram = _dot(half.T, half) if d <= rows else _dot(half, half.T)
    off = gram - level * jnp.eye(len(gram), dtype=gram.dtype)
    delta = (jnp.sum(jnp.square(off)) + (d - len(gram)) * level**2) / d
    beta = jnp.sum(share * squared**2) - jnp.sum(jnp.square(gram))
    beta = beta / (n * d)
    full = jnp.where(level > 0, 1.0, 0.0).astype(level.dtype)
    ratio = jnp.where(delta > 0, safe_divide(beta, delta), full)
    return (jnp.clip(ratio, 0, 1) if d > 1 else jnp.zeros_like(level)), level


def _centre(
    features: Features, labels: Labels, weights: Weights, num_classes: int
) -> tuple[Float[Array, " n"], Float[Array, "n d"], Float[Array, "n c"]]:
    """Return shares, centred features and the centred one-hot labels over sqrt(pi)."""
    share = weights / weights.sum()
    mean = _dot(share, features)
    centred = features - mean
    centred = centred - _dot(share, centred)  # what rounding left of a large mean
    # A constant feature is to be 0, not rounding that the whitening would enlarge.
    noise = jnp.abs(centred) <= 4 * jnp.finfo(features.dtype).eps * jnp.abs(mean)
    centred = centred - stop_gradient(jnp.where(noise, centred, 0))
    onehot = jax.nn.one_hot(labels, num_classes, dtype=features.dtype)
    prior = _dot(share, onehot)
    # An absent class has a column of zeros.
    return share, centred, safe_divide(onehot - prior, jnp.sqrt(prior))


def _svd(
    share: Float[Array, " n"], centred: Float[Array, "n d"]
) -> tuple[Float[Array, "n k"], Float[Array, " k"], Float[Array, "k d"]]:
    rows = stop_gradient(_root(share) * centred)
    left, size, right = jnp.linalg.svd(rows, full_matrices=False)
    return left, size, right


def _root(share: Float[Array, " n"]) -> Float[Array, "n 1"]:
    return jnp.sqrt(share)[:, None]


def _dot(a: Float[Array, "*i j"], b: Float[Array, "j k"]) -> Float[Array, "*i k"]:
    return jnp.matmul(a, b, precision="highest")


def _with_gradient_of(value: Array, bound: Array) -> Array:
    return stop_gradient(value) + (bound - stop_gradient(bound))

"""Gaussian Bhattacharyya coefficient: how far the classes overlap in the features."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from trfjax.arrays import labelled_rows, safe_divide
from trfjax.numbers import as_real
from trfjax.promotion import usual_promotion
from trfjax.scores.classwise import ByClass, by_class, dot, scatter
from trfjax.scores.spec import ScoreSpec, laws
from trfjax.scores.whitening import factor_of
from trfjax.typing import IGNORE, AnyArray, ArrayInput, Count, Features, Labels, Weights

COVARIANCES = ("diagonal", "spherical", "full")
LARGE = 2.0**-30  # the factor of features above which they are scaled


@usual_promotion
def gbc(
    features: ArrayInput,
    labels: ArrayInput,
    *,
    num_classes: Count | None = None,
    weights: ArrayInput | None = None,
    ignore: int | Collection[int] = IGNORE,
    covariance: Literal["diagonal", "spherical", "full"] = "diagonal",
    determinant: Literal["correct", "reference"] = "correct",
    pairs: Literal["equal", "prior"] = "equal",
    floor: float = 1e-4,
    logarithm: bool = False,
) -> Float[Array, ""]:
    r"""GBC: minus the summed overlap of the classes taken as Gaussians.

    $$-\sum_{c \ne c'} e^{-B(c, c')}, \qquad B = \tfrac18 (\mu_c - \mu_{c'})^\top
    \bar\Sigma^{-1} (\mu_c - \mu_{c'}) + \tfrac12 \log
    \frac{\det \bar\Sigma}{\sqrt{\det \Sigma_c \det \Sigma_{c'}}}$$

    over ordered pairs, with $\bar\Sigma$ the mean of both covariances. It depends on
    the units of the features, through the floor of the variances.

    Args:
        features: `(n, d)` or `(b, h, w, d)` features of the target instances; reduce
            them to some 64 principal components first, as published, where there are
            many.
        labels: target ids, `(n,)` or `(b, h, w)`.
        num_classes: number of target classes; None re-indexes the ids present.
        weights: non-negative weight of every instance; uniform by default.
        ignore: the label, or labels, that count for nothing.
        covariance: of a class: `"diagonal"`, `"spherical"` (one variance, the mean
            over features) or `"full"`.
        determinant: of `"spherical"`: `"reference"` counts one feature only, as
            published code does, which leaves out a factor d.
        pairs: `"equal"`: a class of three pixels counts as much as road; `"prior"`:
            pairs weigh by the product of their shares, with the same total.
        floor: least variance; added to it with `"full"`.
        logarithm: return `-log(-GBC)`, which has the same order and does not run out
            of digits for classes far apart (above a distance B of about 100 the
            overlap is 0 in float32).

    Returns:
        A number in `[-C (C - 1), 0]` for C classes present (with `logarithm`:
        `[-log(C (C - 1)), inf]`), no unit; larger means more transferable. 0 (`inf`)
        for a single class.

    Raises:
        TypeError, ValueError: arrays that do not fit, labels out of range, an unknown
            setting, nothing left to score.

    Reference:
        Pándy, Agostinelli, Uijlings, Ferrari and Mensink, "Transferability Estimation
        using Bhattacharyya Class Separability", CVPR 2022, Equations 1 to 4.
    """
    for name, value, known in (
        ("covariance", covariance, COVARIANCES),
        ("determinant", determinant, ("correct", "reference")),
        ("pairs", pairs, ("equal", "prior")),
    ):
        if value not in known:
            raise ValueError(f"{name}: {value!r} is none of {', '.join(known)}")
    as_real("floor", floor, above=0)
    rows = labelled_rows(
        features, labels, num_classes=num_classes, weights=weights, ignore=ignore
    )
    return gbc_core(
        rows.features,
        rows.labels,
        rows.weights,
        floor,
        num_classes=rows.num_classes,
        covariance=covariance,
        determinant=determinant,
        pairs=pairs,
        logarithm=logarithm,
    )


@functools.partial(
    jax.jit,
    static_argnames=("num_classes", "covariance", "determinant", "pairs", "logarithm"),
)
def gbc_core(
    features: Features,
    labels: Labels,
    weights: Weights,
    floor: float | Float[Array, ""] = 1e-4,
    *,
    num_classes: int,
    covariance: str = "diagonal",
    determinant: str = "correct",
    pairs: str = "equal",
    logarithm: bool = False,
) -> Float[Array, ""]:
    """Return GBC of indexed labels; rows of weight 0 count for nothing."""
    # Squares of large features leave the range; the floor is scaled with them.
    factor = factor_of(features, by_column=False)[0, 0]
    factor = jnp.where(factor < LARGE, factor, 1)
    features = features * factor
    floor = jnp.maximum(floor * factor * factor, jnp.finfo(features.dtype).tiny)
    found = by_class(features, labels, weights, num_classes)
    if covariance == "full":
        distance = _full(found, labels, weights, floor)
    else:
        distance = _diagonal(found, labels, weights, floor, covariance, determinant)
    present = found.present
    share = present * present[:, None] * (1 - jnp.eye(num_classes))
    if pairs == "prior":
        weight = share * found.prior * found.prior[:, None]
        share = safe_divide(weight, weight.sum()) * share.sum()
    if logarithm:
        return -jax.nn.logsumexp(-distance, b=share, where=share > 0)
    return -jnp.sum(share * jnp.exp(-distance))


def _diagonal(
    found: ByClass,
    labels: Labels,
    weights: Weights,
    floor: float | Float[Array, ""],
    covariance: str,
    determinant: str,
) -> Float[Array, "c c"]:
    squares = jnp.square(found.centred - found.means[labels])
    summed = dot((weights[:, None] * found.member).T, squares)
    variance = safe_divide(summed, found.counts[:, None])
    if covariance == "spherical":
        variance = variance.mean(axis=1, keepdims=True)
    variance = jnp.maximum(variance, floor)
    # The determinant of a spherical covariance is the d-th power of its variance.
    spherical = covariance == "spherical" and determinant == "correct"
    times = found.means.shape[1] if spherical else 1

    def row(parts: tuple[Array, Array]) -> Float[Array, " c"]:
        mean, spread = parts
        middle = (variance + spread) / 2
        gap = jnp.sum(jnp.square(found.means - mean) / middle, axis=1)
        logs = jnp.log(middle) - jnp.log(variance) / 2 - jnp.log(spread) / 2
        return gap / 8 + times * logs.sum(axis=1) / 2

    return lax.map(row, (found.means, variance))


def _full(
    found: ByClass, labels: Labels, weights: Weights, floor: float | Float[Array, ""]
) -> Float[Array, "c c"]:
    d = found.means.shape[1]
    inside = found.centred - found.means[labels]

    def covariance(parts: tuple[Array, Array]) -> Float[Array, "d d"]:
        member, count = parts
        return scatter(inside, safe_divide(weights * member, count))

    whole = lax.map(covariance, (found.member.T, found.counts))
    whole = whole + floor * jnp.eye(d, dtype=whole.dtype)
    half_logs = jax.vmap(_half_log_det)(whole)

    def pair(parts: tuple[Array, ...]) -> Float[Array, ""]:
        (one, two), (first, second), halves = parts
        factor = jnp.linalg.cholesky((one + two) / 2)
        gap = jax.scipy.linalg.solve_triangular(factor, first - second, lower=True)
        logs = jnp.sum(jnp.log(jnp.diagonal(factor))) - halves.sum() / 2
        return jnp.sum(jnp.square(gap)) / 8 + logs

    count = len(found.counts)
    left, right = (
        jnp.repeat(jnp.arange(count), count),
        jnp.tile(jnp.arange(count), count),
    )
    both = jnp.stack([left, right], axis=1)
    distances = lax.map(
        lambda at: pair((whole[at], found.means[at], half_logs[at])), both
    )
    return distances.reshape(count, count)


def _half_log_det(matrix: Float[Array, "d d"]) -> Float[Array, ""]:
    return jnp.sum(jnp.log(jnp.diagonal(jnp.linalg.cholesky(matrix))))


def _bounds(labels: np.ndarray, arrays: Mapping[str, AnyArray]) -> tuple[float, float]:
    classes = len(np.unique(labels))
    return -float(classes * (classes - 1)), 0.0


SPEC = ScoreSpec(
    name="gbc",
    function=gbc,
    inputs=("target_features",),
    title="GBC",
    unit="",
    bounds=_bounds,
    floor=lambda share: -float(np.sum(share > 0) * (np.sum(share > 0) - 1)),
    laws=laws("duplicates", "shift", "zero_feature"),
    smooth=False,  # a class leaves with the last image that shows it
    rtol=1e-4,
)

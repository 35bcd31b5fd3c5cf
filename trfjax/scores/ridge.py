"""Ridge regression of one-hot labels from sums, with parts left out by subtraction."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

CONSTANT = 1e-12  # a variance up to this share of the second moment is rounding
LEAST_WEIGHT = 1e-6  # that a class has in a fit; less is rounding of a subtraction
LEAST_SPREAD = 1e-6  # of the residuals, so that a perfect fit has a likelihood


class RidgeSums(NamedTuple):
    """Weighted sums over instances; `g` is 1, or the classes where they weigh alike."""

    counts: Float[np.ndarray, " c"]
    features: Float[np.ndarray, "c d"]
    products: Float[np.ndarray, "g d d"]


class Ridge(NamedTuple):
    """A linear map to one column a class; unknown classes were not in the fit."""

    weight: Float[np.ndarray, "d c"]
    bias: Float[np.ndarray, " c"]
    known: Bool[np.ndarray, " c"]
    spread: float  # variance of the residuals of a column


def ridge_sums(
    features: Float[np.ndarray, "m d"],
    labels: Int[np.ndarray, " m"],
    weights: Float[np.ndarray, " m"],
    classes: int,
    *,
    by_class: bool,
) -> RidgeSums:
    """Return the sums over instances, with products by class or all together."""
    member = (labels[:, None] == np.arange(classes)) * weights[:, None]
    groups = member.T if by_class else weights[None]
    products = [(features * group[:, None]).T @ features for group in groups]
    return RidgeSums(member.sum(axis=0), member.T @ features, np.stack(products))


def all_but_one(parts: list[RidgeSums]) -> list[RidgeSums]:
    """Return the sums of all parts but one, for each."""
    total = [sum(column) for column in zip(*parts, strict=True)]
    return [
        RidgeSums(*(a - b for a, b in zip(total, part, strict=True))) for part in parts
    ]


def fit_ridge(sums: RidgeSums, penalty: float) -> Ridge:
    r"""Return the ridge regression of centred one-hot labels on standardised features.

    It minimises the mean of $|y - \bar y - W^\top x|^2$ plus `penalty` times $|W|^2$,
    over instances, or with the same weight for every class where the products of the
    sums are by class. Features that do not vary have no weight.
    """
    known = sums.counts > LEAST_WEIGHT
    counts = np.where(known, sums.counts, 0)
    if len(sums.products) > 1:
        share = np.where(known, 1 / np.where(known, counts, 1), 0) / max(known.sum(), 1)
        whole = np.tensordot(share, sums.products, axes=1)
    else:
        share = np.full(len(counts), 1 / max(counts.sum(), LEAST_WEIGHT))
        whole = share[0] * sums.products[0]
    prior, mean = share * counts, share @ sums.features
    covariance = whole - np.outer(mean, mean)
    variance = np.diag(covariance)
    varies = variance > CONSTANT * np.diag(whole)
    scale = np.where(varies, 1 / np.sqrt(np.where(varies, variance, 1)), 0)
    joint = share[:, None] * sums.features - np.outer(prior, mean)  # (c, d)
    design = scale[:, None] * covariance * scale + penalty * np.eye(len(scale))
    weight = np.linalg.solve(design, scale[:, None] * joint.T)
    # |y - Wx|^2 = |y|^2 - <W, xy> - penalty |W|^2, by the equation W solves.
    misfit = np.sum(prior * (1 - prior)) - np.sum(weight * scale[:, None] * joint.T)
    misfit -= penalty * np.sum(weight**2)
    weight = scale[:, None] * weight
    return Ridge(
        weight=weight,
        bias=prior - mean @ weight,
        known=known,
        spread=max(misfit / max(known.sum(), 1), LEAST_SPREAD),
    )

"""LogME as a mean over target instances, of one target or of many small ones."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from trfjax.scores.evidence import Spectrum, best_ratio
from trfjax.scores.whitening import default_rcond

BLOCK = 100_000  # instances whose products are added up at a time
TOGETHER = 64  # cells whose ratios are searched at a time: one program for all


class Evidence(NamedTuple):
    """The best linear model of the label columns; a leading axis for many targets."""

    constant: Float[np.ndarray, " k"]  # -log(2 pi)/2 - log det K / 2n, mean of columns
    pull: Float[np.ndarray, "k c"]  # beta / (2 columns); 0 for a class without instance
    weights: Float[np.ndarray, "k c d"]  # posterior mean of every column


class Sums(NamedTuple):
    """Moments of the features by class; a leading axis for many targets."""

    counts: Float[np.ndarray, "k c"]
    sums: Float[np.ndarray, "k c d"]
    products: Float[np.ndarray, "k d d"]


def evidence_sums(
    features: Float[np.ndarray, "n d"],
    labels: Int[np.ndarray, " n"],
    *,
    num_classes: int,
) -> Sums:
    """Return the sums of some instances; those of all add up.

    Args:
        features: of the target instances.
        labels: target classes.
        num_classes: number of target classes.
    """
    parts = [
        _sums(features[None, i : i + BLOCK], labels[None, i : i + BLOCK], num_classes)
        for i in range(0, max(len(labels), 1), BLOCK)
    ]
    return Sums(*(np.sum(part, axis=0) for part in zip(*parts, strict=True)))


def fitted_evidence(sums: Sums) -> Evidence:
    """Maximise the evidence of every label column, as `logme` does.

    Args:
        sums: of all instances.
    """
    counts, n = sums.counts, sums.counts.sum(axis=1)
    values, vectors = np.linalg.eigh(sums.products)
    # Rounding fakes eigenvalues below this; their directions hold nothing.
    cut = default_rcond(values.shape[1]) ** 2
    kept = values > np.maximum(values[:, -1:], 0) * cut
    values = np.where(kept, values, 0)
    turned = np.where(kept[:, None], sums.sums @ vectors, 0)
    along = turned**2 / np.where(kept, values, 1)[:, None]
    rest = np.maximum(counts - along.sum(axis=2), 0)
    t = _ratios(values[:, ::-1], along[..., ::-1], rest, n)[..., None]  # (k, c, 1)
    log_k = np.log1p(values[:, None] / t)
    q = np.sum(along * np.exp(-log_k), axis=2) + rest
    beta = n[:, None] / np.where(q > 0, q, 1)  # an absent class has q = 0
    log_det = log_k.sum(axis=2) - n[:, None] * np.log(beta)
    share = (counts > 0) / (counts > 0).sum(axis=1, keepdims=True)
    constant = np.sum(share * -0.5 * (np.log(2 * np.pi) + log_det / n[:, None]), axis=1)
    weights = (turned / (values[:, None] + t)) @ vectors.swapaxes(1, 2)
    return Evidence(constant, share * beta / 2, weights)


def pixel_evidence(
    fitted: Evidence,
    features: Float[np.ndarray, "n d"],
    labels: Int[np.ndarray, " n"],
) -> Float[np.ndarray, " n"]:
    r"""Return the share of the log evidence of every instance, in nats.

    $$-\tfrac12 \log 2\pi - \tfrac1{2N} \log\det K - \tfrac\beta2 y_i (y_i - f_i m),
    \qquad K = \beta^{-1} I + \alpha^{-1} F F^T$$

    averaged over the columns `y` of the classes present. The sum over instances is the
    log evidence: by Woodbury, $K^{-1} y = \beta (y - F m)$ with the posterior mean m.

    Args:
        fitted: the model of all instances.
        features: of the instances asked for.
        labels: their classes.
    """
    return _scored(fitted, features[None], labels[None])[0]


def evidence_of_cells(
    features: Float[np.ndarray, "k n d"],
    labels: Int[np.ndarray, "k n"],
    *,
    num_classes: int,
) -> Float[np.ndarray, "k n"]:
    """Return `pixel_evidence` of many cells, each with the model of its own pixels.

    Args:
        features: by cell and pixel.
        labels: target classes; -1 where there is no pixel.
        num_classes: number of target classes.
    """
    return _scored(
        fitted_evidence(_sums(features, labels, num_classes)), features, labels
    )


def _sums(features: np.ndarray, labels: np.ndarray, num_classes: int) -> Sums:
    member = (labels[..., None] == np.arange(num_classes)).astype(np.float64)
    exact = np.where(labels[..., None] >= 0, features, 0).astype(np.float64)
    columns = exact.swapaxes(1, 2)
    return Sums(member.sum(axis=1), (columns @ member).swapaxes(1, 2), columns @ exact)


def _scored(
    fitted: Evidence, features: np.ndarray, labels: np.ndarray
) -> Float[np.ndarray, "k n"]:
    row = np.maximum(labels, 0)
    weight = np.take_along_axis(fitted.weights, row[..., None], axis=1)  # (k, n, d)
    left = 1 - np.einsum("knd,knd->kn", weight, features)
    pull = np.take_along_axis(fitted.pull, row, axis=1)
    return fitted.constant[:, None] - pull * left


def _ratios(
    values: np.ndarray, along: np.ndarray, rest: np.ndarray, n: np.ndarray
) -> Float[np.ndarray, "k c"]:
    """Return the best t = alpha / beta of every column, in blocks of one size."""
    found = []
    for start in range(0, len(n), TOGETHER):
        block = slice(start, start + TOGETHER)
        room = (-len(n[block]) % TOGETHER) if len(n) > 1 else 0
        parts = [
            np.pad(part[block], [(0, room), *[(0, 0)] * (part.ndim - 1)], mode="edge")
            for part in (values, along, rest, n)
        ]
        t = np.asarray(_search(*map(jnp.asarray, parts)), np.float64)
        found.append(t[: len(t) - room])
    return np.concatenate(found)


@jax.jit
def _search(values: Array, along: Array, rest: Array, n: Array) -> Array:
    return jax.vmap(lambda *parts: best_ratio(Spectrum(*parts))[0])(
        values, along, rest, n
    )

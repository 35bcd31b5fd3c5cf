"""N-LEEP: LEEP with the clusters of the features in the place of source classes."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from trfjax.arrays import is_traced, labelled_rows
from trfjax.errors import ScoreWarning
from trfjax.scores.leep import leep
from trfjax.scores.mixture import fit_mixture
from trfjax.typing import IGNORE, ArrayInput


def nleep(
    features: ArrayInput,
    labels: ArrayInput,
    *,
    num_classes: int | None = None,
    weights: ArrayInput | None = None,
    ignore: int | Collection[int] = IGNORE,
    components: int | None = None,
    variance: float = 0.8,
    covariance: Literal["full", "diagonal"] = "full",
    regularisation: float = 1e-6,
    tolerance: float = 1e-3,
    steps: int = 100,
    seed: int = 0,
) -> Float[Array, ""]:
    r"""N-LEEP: LEEP of the responsibilities of a mixture of Gaussians.

    The features are reduced to the principal components that hold `variance` of their
    variance; a mixture is fitted to them without labels, from k-means++ seeds; and the
    responsibilities $R_{iv}$ take the place of the source classes of LEEP:

    $$\frac1n \sum_i \log \sum_v \hat P(y_i | v) R_{iv}$$

    It depends on the seed, so compare sources by several.

    Args:
        features: `(n, d)` or `(b, h, w, d)` features of the target instances.
        labels: target ids, `(n,)` or `(b, h, w)`.
        num_classes: number of target classes; None re-indexes the ids present.
        weights: multiplicity of every instance; uniform by default.
        ignore: the label, or labels, that count for nothing.
        components: of the mixture, fewer than instances; five for every class present
            by default, as published.
        variance: share of the variance to keep, in `(0, 1]`.
        covariance: of a component: `"full"` or `"diagonal"`.
        regularisation: added to every variance, in mean variances of a kept feature.
        tolerance: gain in mean log-density at which the fit stops.
        steps: of the fit at most.
        seed: of the seeds of the mixture.

    Returns:
        Mean log-likelihood in nats, in `[-H(Y), 0]`; larger means more transferable.

    Raises:
        TypeError, ValueError: arrays that do not fit, labels out of range, a setting
            out of range, as many components as instances, nothing left to score; a
            call under `jit`.

    Warns:
        ScoreWarning: the fit took all its steps.

    Reference:
        Li, Jia, Sang, Zhu, Green, Wang and Gong, "Ranking Neural Checkpoints", CVPR
        2021, Section 3.3.
    """
    if not 0 < variance <= 1:
        raise ValueError(f"variance: {variance} is not in (0, 1]")
    if covariance not in ("full", "diagonal"):
        raise ValueError(f"covariance: {covariance!r} is neither 'full' nor 'diagonal'")
    if not regularisation > 0:
        raise ValueError(f"regularisation: {regularisation} is not positive")
    if steps < 2:
        raise ValueError(f"steps: {steps} is less than 2")
    rows = labelled_rows(
        ("features", "labels"),
        features,
        labels,
        num_classes=num_classes,
        weights=weights,
        ignore=ignore,
    )
    if is_traced(rows.features, rows.labels, rows.weights):
        raise ValueError("nleep: not defined under jit; call it on concrete arrays")
    counts = np.asarray(rows.weights)
    held = counts > 0
    if components is None:
        components = 5 * len(np.unique(np.asarray(rows.labels)[held]))
    if not 1 <= components < held.sum():
        raise ValueError(
            f"components: {components} for {held.sum()} instances; there must be fewer "
            "components than instances. Pass a smaller number, or label more."
        )
    reduced = principal(np.asarray(rows.features)[held], counts[held], variance)
    mixture, resp = fit_mixture(
        jnp.asarray(reduced),
        jnp.asarray(counts[held]),
        jax.random.key(seed),
        components=components,
        covariance=covariance,
        regularisation=regularisation,
        tolerance=tolerance,
        steps=steps,
    )
    if int(mixture.steps) >= steps:
        warnings.warn(
            f"nleep: the mixture had not settled after {steps} steps; raise `steps`",
            ScoreWarning,
            stacklevel=2,
        )
    return leep(
        resp,
        rows.labels[held],
        num_classes=rows.num_classes,
        weights=rows.weights[held],
        ignore=-1,
    )


def nleep_from_responsibilities(
    responsibilities: ArrayInput,
    labels: ArrayInput,
    *,
    num_classes: int | None = None,
    weights: ArrayInput | None = None,
    ignore: int | Collection[int] = IGNORE,
) -> Float[Array, ""]:
    """Return N-LEEP of given responsibilities, `(n, v)` with rows that sum to 1.

    It is LEEP of them, deterministic and differentiable; a component without mass
    counts for nothing. See `nleep`, and `leep` for the arguments.
    """
    return leep(
        responsibilities,
        labels,
        num_classes=num_classes,
        weights=weights,
        ignore=ignore,
    )


def principal(
    rows: Float[np.ndarray, "n d"], weights: Float[np.ndarray, " n"], variance: float
) -> Float[np.ndarray, "n k"]:
    """Return the fewest principal components that hold a share of the variance."""
    share = (weights / weights.sum()).astype(np.float64)
    centred = rows - share @ rows
    half = np.sqrt(share)[:, None] * centred
    _, size, right = np.linalg.svd(half, full_matrices=False)
    held = np.cumsum(size**2) / max(np.sum(size**2), 1e-300)
    kept = min(int(np.searchsorted(held, variance * (1 - 1e-12))) + 1, len(size))
    return (centred @ right[:kept].T).astype(rows.dtype)

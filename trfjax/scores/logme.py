"""Logarithm of the maximum evidence of a Bayesian linear model of the labels."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Collection
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient
from jaxtyping import Array, Bool, Float

from trfjax.arrays import Rows, is_traced, labelled_rows
from trfjax.errors import ScoreWarning
from trfjax.promotion import usual_promotion
from trfjax.scores.bounds import unbounded
from trfjax.scores.evidence import (
    Spectrum,
    best_ratio,
    evidence,
    evidence_without_features,
    likelihood_explained,
    mean_over_classes,
    reference_evidences,
)
from trfjax.scores.logme_pixels import (
    evidence_of_cells,
    evidence_sums,
    fitted_evidence,
    pixel_evidence,
)
from trfjax.scores.logme_sums import logme_of_moments, spectrum_of
from trfjax.scores.spec import Explained, OfSums, PerInstance, ScoreSpec, laws
from trfjax.scores.sums import is_many, sums_of
from trfjax.scores.whitening import dot, factor_of
from trfjax.typing import IGNORE, ArrayInput, Count, Features, Labels, Weights

MODES = ("exact", "reference", "reference-2021")


@usual_promotion
def logme(
    features: ArrayInput,
    labels: ArrayInput,
    *,
    num_classes: Count | None = None,
    weights: ArrayInput | None = None,
    ignore: int | Collection[int] = IGNORE,
    mode: Literal["exact", "reference", "reference-2021"] = "exact",
    intercept: bool = False,
) -> Float[Array, ""]:
    r"""LogME: evidence of a linear model of the one-hot labels, per instance.

    For the indicator $y$ of every class, $y \sim N(0, \beta^{-1} I + \alpha^{-1}
    F F^T)$, and with $t = \alpha / \beta$, $k_i = 1 + \lambda_i / t$ over the
    eigenvalues of $F F^T$ and $q(t) = \sum_i z_i^2 / k_i$, $z = U^T y$,

    $$\frac1n \max_{\alpha, \beta} \log p(y) = \max_t \, -\tfrac12 \Bigl(\log 2\pi + 1
    + \log \frac{q(t)}{n}\Bigr) - \frac{1}{2n} \sum_i \log k_i$$

    averaged over the classes present. The features are not centred, so a shift of
    them changes the value; rotation and uniform scaling do not.

    Args:
        features: `(n, d)` or `(b, h, w, d)` features of the target instances.
        labels: target ids, `(n,)` or `(b, h, w)`.
        num_classes: number of target classes; None re-indexes the ids present.
        weights: multiplicity of every instance: n is their sum.
        ignore: the label, or labels, that count for nothing.
        mode: `"exact"` maximises the evidence by a search over `t`. The others repeat
            the fixed-point iteration of published code, for comparison with published
            tables: `"reference"` that of 2022, which leaves out
            `(d - n) / 2n * log(alpha)` where `n < d`; `"reference-2021"` that of 2021.
        intercept: centre the features and the indicators first.

    Returns:
        Log-density in nats per instance, of any sign; larger means more transferable.
        NaN for a single class with an intercept, where nothing is left to explain.

    Raises:
        TypeError, ValueError: arrays that do not fit, labels out of range, an unknown
            mode, nothing left to score.

    Warns:
        ScoreWarning: a single class; `"exact"` with a class whose evidence is largest
            at an end of the search (features that explain it without error, for which
            the evidence has no maximum, or not at all); `"reference"` with fewer
            instances than features.

    Reference:
        You, Liu, Wang and Long, "LogME: Practical Assessment of Pre-trained Models for
        Transfer Learning", ICML 2021; You, Liu, Zhang, Wang, Jordan and Long, "Ranking
        and Tuning Pre-trained Models: A New Paradigm for Exploiting Model Hubs", JMLR
        23, 2022.
    """
    if mode not in MODES:
        raise ValueError(f"mode: {mode!r} is none of {', '.join(MODES)}")
    rows = labelled_rows(
        features, labels, num_classes=num_classes, weights=weights, ignore=ignore
    )
    if is_many(rows):
        found = _of_many(rows, mode=mode, intercept=intercept)
    else:
        found = _logme(
            rows.features,
            rows.labels,
            rows.weights,
            num_classes=rows.num_classes,
            mode=mode,
            intercept=intercept,
        )
    if not is_traced(found.score):
        n, d = float(np.sum(rows.weights, dtype=float)), rows.features.shape[1]
        for problem in _problems(found, n, d, mode):
            warnings.warn(f"logme: {problem}", ScoreWarning, stacklevel=2)
    return found.score


class _LogME(NamedTuple):
    """The score, and the classes whose optimum is at an end of the search."""

    score: Float[Array, ""]
    present: Bool[Array, " c"]
    lowest: Bool[Array, " c"]  # the optimum is at that end of the search
    highest: Bool[Array, " c"]


def _problems(found: _LogME, n: float, d: int, mode: str) -> list[str]:
    """Say why the value means little."""
    if int(found.present.sum()) == 1:
        return ["a single class, so the value says nothing about transfer"]
    problems = []
    if mode == "reference" and n < d:
        problems.append(
            f"{n:g} instances for {d} features; mode='reference' repeats the published "
            "fault there. Use mode='exact'."
        )
    low, high = (np.flatnonzero(ends) for ends in (found.lowest, found.highest))
    if low.size:
        problems.append(
            f"class indices {low.tolist()} are explained without error; their evidence "
            "grows up to the end of the search, and the value is that at the end"
        )
    if high.size:
        problems.append(f"class indices {high.tolist()} are not explained at all")
    return problems


@functools.partial(jax.jit, static_argnames=("num_classes", "mode", "intercept"))
def _logme(
    features: Features,
    labels: Labels,
    weights: Weights,
    *,
    num_classes: int,
    mode: str,
    intercept: bool,
) -> _LogME:
    n = weights.sum()
    columns = jax.nn.one_hot(labels, num_classes, dtype=features.dtype)
    present = dot(weights, columns) > 0
    if mode == "exact":  # which does not change when all features are scaled
        features = features * factor_of(features, by_column=False)
    if intercept:
        features = features - dot(weights / n, features)[None]
        columns = columns - dot(weights / n, columns)[None]
    root = jnp.sqrt(weights)[:, None]
    design, columns = root * features, root * columns
    left, size, right = jnp.linalg.svd(stop_gradient(design), full_matrices=False)
    coordinates = dot(left.T, columns)  # (k, c)
    rest = jnp.sum(jnp.square(columns - dot(left, coordinates)), axis=0)
    problem = Spectrum(size**2, jnp.square(coordinates.T), rest, n)
    if mode == "exact":
        t, lowest, highest = best_ratio(problem)
        value = evidence(problem, t)
        # Both terms have the derivative they would have at fixed t: q(t) is the
        # minimum over m of |Fm - y|^2 + t |m|^2, and d log det(F^T F + t I) is
        # 2 <F (F^T F + t I)^-1, dF>. Singular vectors need no derivative.
        ridge = size[:, None] / (size[:, None] ** 2 + t[None])  # (k, c)
        m = dot(right.T, ridge * coordinates)
        misfit = jnp.sum(jnp.square(dot(design, m) - columns), axis=0)
        misfit += t * jnp.sum(jnp.square(m), axis=0)
        share = present.astype(n.dtype) / present.sum().astype(n.dtype)
        pull = dot(left * dot(ridge, share), right)
        bound = -0.5 * jnp.sum(share * jnp.log(jnp.where(present, misfit, 1)))
        bound -= jnp.sum(pull * design) / n
    else:
        value = reference_evidences(problem, d=design.shape[1], mode=mode)
        lowest = highest = jnp.zeros_like(present)
        bound = jnp.zeros_like(n)
    score = mean_over_classes(value, present, intercept=intercept)
    score = stop_gradient(score) + (bound - stop_gradient(bound))
    return _LogME(score, present, lowest & present, highest & present)


def _of_many(rows: Rows, *, mode: str, intercept: bool) -> _LogME:
    """Return what `_logme` does, from sums in float64."""
    found = sums_of(rows, centred=intercept, by_column=False)
    values, along, rest = spectrum_of(found.counts, found.sums, found.products)
    if mode != "exact":  # whose start depends on the scale of the features
        values = values / max(found.factor.max(), np.finfo(float).tiny) ** 2
    if intercept:
        n = found.counts.sum()
        rest = np.maximum(rest - found.counts**2 / n, 0)
    present = jnp.asarray(found.counts > 0)
    parts = (values, along, rest, found.counts.sum())
    problem = Spectrum(*(jnp.asarray(part, rows.features.dtype) for part in parts))
    d = rows.features.shape[1]
    return _of_spectrum(problem, present, d=d, mode=mode, intercept=intercept)


@functools.partial(jax.jit, static_argnames=("d", "mode", "intercept"))
def _of_spectrum(
    problem: Spectrum, present: Array, *, d: int, mode: str, intercept: bool
) -> _LogME:
    lowest = highest = jnp.zeros_like(present)
    if mode == "exact":
        t, lowest, highest = best_ratio(problem)
        value = evidence(problem, t)
    else:
        value = reference_evidences(problem, d=d, mode=mode)
    score = mean_over_classes(value, present, intercept=intercept)
    return _LogME(score, present, lowest & present, highest & present)


SPEC = ScoreSpec(
    name="logme",
    function=logme,
    inputs=("target_features",),
    title="LogME",
    unit="nats per sample",
    bounds=unbounded,
    floor=evidence_without_features,
    explained=Explained(share=likelihood_explained, of="the labels (as R squared)"),
    sensitive=("width",),
    laws=laws("rotation", "scale", "zero_feature"),
    of_sums=OfSums(tables=("target_moments",), replicates=logme_of_moments),
    per_instance=PerInstance(
        fit=evidence_sums,
        finish=fitted_evidence,
        score=pixel_evidence,
        cells=evidence_of_cells,
        additive=True,
    ),
    # A mean over the classes that occur: it jumps when the last image of one is left
    # out, which the jackknife would take for a bias.
    smooth=False,
)

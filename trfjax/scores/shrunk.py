"""Shrunk H-score: the H-score with a regularised covariance."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Collection, Mapping
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient
from jaxtyping import Array, Float

from trfjax.arrays import is_traced, labelled_rows, safe_divide
from trfjax.errors import ScoreWarning
from trfjax.promotion import usual_promotion
from trfjax.scores.bounds import SEPARATION
from trfjax.scores.hscore import h_bounds
from trfjax.scores.spec import ScoreSpec, laws
from trfjax.scores.sums import Sums, is_many, sums_of
from trfjax.scores.whitening import (
    centre,
    decompose,
    dot,
    root,
    with_gradient_of,
)
from trfjax.typing import IGNORE, AnyArray, ArrayInput, Count, Features, Labels, Weights


@usual_promotion
def shrunk_h_score(
    features: ArrayInput,
    labels: ArrayInput,
    *,
    num_classes: Count | None = None,
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
    rows = labelled_rows(
        features, labels, num_classes=num_classes, weights=weights, ignore=ignore
    )
    if is_many(rows):
        found = _of_sums(sums_of(rows, centred=True, by_column=False), ddof)
    else:
        found = _shrunk_h_score(
            rows.features,
            rows.labels,
            rows.weights,
            num_classes=rows.num_classes,
            ddof=ddof,
        )
    if not is_traced(found.score) and float(found.intensity) == 1:
        warnings.warn(
            "shrunk_h_score: the shrinkage intensity is 1 (features near isotropic for "
            "so few instances), so the score is 0 for any labels. Use more instances.",
            ScoreWarning,
            stacklevel=2,
        )
    return found.score


class _Shrunk(NamedTuple):
    """The score, and the weight of the shrinkage target."""

    score: Float[Array, ""]
    intensity: Float[Array, ""]


@functools.partial(jax.jit, static_argnames=("num_classes", "ddof"))
def _shrunk_h_score(
    features: Features, labels: Labels, weights: Weights, *, num_classes: int, ddof: str
) -> _Shrunk:
    share, centred, member = centre(features, labels, weights, num_classes)
    n = weights.sum()
    intensity, level = shrinkage(centred, share, n)
    left, size, right = decompose(share, centred)
    keep, ridge = 1 - stop_gradient(intensity), stop_gradient(intensity * level)
    along = dot(left.T, root(share) * member)  # (k, c)
    solved = safe_divide(size, keep * size**2 + ridge)[:, None] * along
    value = keep * jnp.sum(size[:, None] * along * solved)
    # The same maximum as in _h_score, with the ridge added.
    solution = stop_gradient(dot(right.T, solved))
    fit = dot(centred, solution)
    bound = 2 * jnp.sum(share[:, None] * fit * member)
    bound -= (1 - intensity) * jnp.sum(share[:, None] * jnp.square(fit))
    bound -= intensity * level * jnp.sum(jnp.square(solution))
    scale = n / (n - 1) if ddof == "reference" else 1
    score = scale * with_gradient_of(value, (1 - intensity) * bound)
    return _Shrunk(score, intensity)


def _of_sums(found: Sums, ddof: str) -> _Shrunk:
    """Return what `_shrunk_h_score` does, from sums in float64."""
    n, d = found.counts.sum(), len(found.products)
    covariance = found.products / n
    level = np.trace(covariance) / d
    delta = np.sum((covariance - level * np.eye(d)) ** 2) / d
    beta = (found.fourth / n - np.sum(covariance**2)) / (n * d)
    intensity = (
        0.0 if d == 1 else min(max(beta / delta if delta > 0 else 1.0, 0.0), 1.0)
    )
    if level == 0:
        return _Shrunk(jnp.zeros(()), jnp.zeros(()))
    present = found.counts > 0
    means = found.sums[present] / found.counts[present, None]
    between = (means * (found.counts[present] / n)[:, None]).T @ means
    mixed = (1 - intensity) * covariance + intensity * level * np.eye(d)
    value = (1 - intensity) * np.trace(np.linalg.pinv(mixed, hermitian=True) @ between)
    value *= n / (n - 1) if ddof == "reference" else 1
    return _Shrunk(jnp.asarray(value), jnp.asarray(intensity))


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
    half = root(share) * centred
    gram = dot(half.T, half) if d <= rows else dot(half, half.T)
    off = gram - level * jnp.eye(len(gram), dtype=gram.dtype)
    delta = (jnp.sum(jnp.square(off)) + (d - len(gram)) * level**2) / d
    beta = jnp.sum(share * squared**2) - jnp.sum(jnp.square(gram))
    beta = beta / (n * d)
    full = jnp.where(level > 0, 1.0, 0.0).astype(level.dtype)
    ratio = jnp.where(delta > 0, safe_divide(beta, delta), full)
    return (jnp.clip(ratio, 0, 1) if d > 1 else jnp.zeros_like(level)), level


def _bounds(labels: np.ndarray, arrays: Mapping[str, AnyArray]) -> tuple[float, float]:
    # The published divisors raise it by n / (n - 1).
    return 0.0, h_bounds(labels, arrays)[1] * labels.size / max(labels.size - 1, 1)


SPEC = ScoreSpec(
    name="shrunk_h_score",
    function=shrunk_h_score,
    inputs=("target_features",),
    title="Shrunk H-score",
    unit="",
    bounds=_bounds,
    floor=lambda share: 0.0,
    limits=lambda share: (0.0, np.inf),
    explained=SEPARATION,
    laws=laws("rotation", "shift", "scale"),
    merging_targets="not higher",
    rtol=1e-4,
)

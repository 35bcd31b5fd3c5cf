"""SFDA: regularised discriminant analysis, once more after its doubts are mixed in."""

from __future__ import annotations

import functools
from collections.abc import Collection
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from trfjax.arrays import labelled_rows, safe_divide, safe_log
from trfjax.promotion import usual_promotion
from trfjax.scores.classwise import by_class, dot, scatter
from trfjax.scores.spec import ScoreSpec, laws
from trfjax.scores.whitening import factor_of
from trfjax.typing import IGNORE, ArrayInput, Count, Features, Labels, Weights

LEAST_SHRINKAGE = 1e-10


@usual_promotion
def sfda(
    features: ArrayInput,
    labels: ArrayInput,
    *,
    num_classes: Count | None = None,
    weights: ArrayInput | None = None,
    ignore: int | Collection[int] = IGNORE,
    leading: Literal["exact", "reference"] = "exact",
) -> Float[Array, ""]:
    r"""SFDA: mean posterior of the true class in a self-challenging discriminant.

    With the scatter within classes $S_w = \frac1n \sum_i (x_i - \mu_{y_i})
    (x_i - \mu_{y_i})^\top$, its largest eigenvalue $a$, $\lambda = e^{-5a}$ and
    $\tilde S = (1-\lambda) S_w + \lambda \frac{\operatorname{tr} S_w}{d} I$,

    $$p(c|x) = \operatorname{softmax}_c \bigl(\mu_c^\top \tilde S^{-1} x - \tfrac12
    \mu_c^\top \tilde S^{-1} \mu_c + \log \pi_c \bigr)$$

    Every instance is then moved towards the mean of the other class means,
    $x \leftarrow q x + (1-q) \bar\mu_{\neg y}$, with $q$ the true class's part of
    $\operatorname{softmax}(p)$, and the score is the mean of $p(y|x)$ of a second
    discriminant with the same $\lambda$.

    The features are not scaled, and $\lambda$ depends on their scale: large ones are
    not shrunk at all, small ones to a sphere.

    Args:
        features: `(n, d)` or `(b, h, w, d)` features of the target instances.
        labels: target ids, `(n,)` or `(b, h, w)`.
        num_classes: number of target classes; None re-indexes the ids present.
        weights: non-negative weight of every instance; uniform by default.
        ignore: the label, or labels, that count for nothing.
        leading: the eigenvalue $a$: `"exact"`, or `"reference"`, three double steps of
            the power method from the row sums, as in published code.

    Returns:
        A probability in `(0, 1]`; larger means more transferable. NaN for a single
        class, and for features without any scatter within the classes.

    Raises:
        TypeError, ValueError: arrays that do not fit, labels out of range, an unknown
            setting, nothing left to score.

    Reference:
        Shao, Zhao, Ge, Zhang, Yang, Wang, Shan and Luo, "Not All Models Are Equal:
        Predicting Model Transferability in a Self-challenging Fisher Space", ECCV 2022.
    """
    if leading not in ("exact", "reference"):
        raise ValueError(f"leading: {leading!r} is neither 'exact' nor 'reference'")
    rows = labelled_rows(
        features, labels, num_classes=num_classes, weights=weights, ignore=ignore
    )
    return sfda_core(
        rows.features,
        rows.labels,
        rows.weights,
        num_classes=rows.num_classes,
        leading=leading,
    )


@functools.partial(jax.jit, static_argnames=("num_classes", "leading"))
def sfda_core(
    features: Features,
    labels: Labels,
    weights: Weights,
    *,
    num_classes: int,
    leading: str = "exact",
) -> Float[Array, ""]:
    """Return SFDA of indexed labels; rows of weight 0 count for nothing."""
    # Only the shrinkage knows the scale; all else is taken at a size of about 1.
    factor = factor_of(features, by_column=False)
    found = by_class(features * factor, labels, weights, num_classes)
    within = scatter(found.centred - found.means[labels], weights / found.total)
    largest = (_power if leading == "reference" else _largest)(within)
    largest = largest / factor[0, 0] / factor[0, 0]
    shrinkage = jnp.maximum(jnp.exp(-5 * largest), LEAST_SHRINKAGE)
    first = _posterior(found.centred, labels, weights, shrinkage, num_classes)
    # The second softmax is that of the published code.
    kept = jax.nn.softmax(first, where=found.present > 0, axis=1)
    kept = jnp.take_along_axis(kept, labels[:, None], axis=1)
    count = found.present.sum()
    rest = (found.means.sum(axis=0) - found.means) / (count - 1)
    mixed = kept * found.centred + (1 - kept) * rest[labels]
    mixed = jnp.where(count > 1, mixed, jnp.nan)
    second = _posterior(mixed, labels, weights, shrinkage, num_classes)
    true = jnp.take_along_axis(second, labels[:, None], axis=1)[:, 0]
    return jnp.sum(weights * true) / found.total


def _posterior(
    features: Features,
    labels: Labels,
    weights: Weights,
    shrinkage: Float[Array, ""],
    num_classes: int,
) -> Float[Array, "n c"]:
    # Posteriors do not change under a shift of everything.
    found = by_class(features, labels, weights, num_classes)
    within = scatter(found.centred - found.means[labels], weights / found.total)
    d = len(within)
    level = jnp.trace(within) / d
    # Never below what rounding does to the smallest eigenvalue.
    rounding = 2 * d * float(np.finfo(within.dtype).eps)
    rounding = rounding * jnp.sqrt(jnp.sum(jnp.square(within)))
    ridge = jnp.maximum(shrinkage * level, rounding)
    shrunk = (1 - shrinkage) * within + ridge * jnp.eye(d, dtype=within.dtype)
    factor = jax.scipy.linalg.cho_factor(shrunk, lower=True)
    solved = jax.scipy.linalg.cho_solve(factor, found.means.T)  # (d, c)
    bias = safe_log(found.prior) - jnp.sum(solved * found.means.T, axis=0) / 2
    scores = dot(found.centred, solved) + bias
    return jax.nn.softmax(scores, where=found.present > 0, axis=1)


def _largest(matrix: Float[Array, "d d"]) -> Float[Array, ""]:
    return jnp.linalg.eigvalsh(matrix)[-1]


def _power(matrix: Float[Array, "d d"]) -> Float[Array, ""]:
    right = matrix.sum(axis=1)
    left = right
    for _ in range(3):
        left = _unit(dot(matrix, right))
        right = _unit(dot(matrix, left))
    return dot(right, dot(matrix, left))


def _unit(vector: Float[Array, " d"]) -> Float[Array, " d"]:
    return safe_divide(vector, jnp.sqrt(jnp.sum(jnp.square(vector))))


SPEC = ScoreSpec(
    name="sfda",
    function=sfda,
    inputs=("target_features",),
    title="SFDA",
    unit="",
    bounds=lambda labels, arrays: (0.0, 1.0),
    laws=laws("duplicates", "rotation", "shift"),
    rtol=1e-3,  # the least eigenvalue of the scatter is inverted
)

"""TransRate: the coding rate of the features that the classes explain."""

from __future__ import annotations

import functools
from collections.abc import Collection
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from trfjax.arrays import labelled_rows, safe_divide
from trfjax.numbers import as_real
from trfjax.promotion import usual_promotion
from trfjax.scores.classwise import by_class, dot
from trfjax.scores.spec import ScoreSpec, laws
from trfjax.scores.whitening import factor_of
from trfjax.typing import IGNORE, ArrayInput, Count, Features, Labels, Weights


@usual_promotion
def transrate(
    features: ArrayInput,
    labels: ArrayInput,
    *,
    num_classes: Count | None = None,
    weights: ArrayInput | None = None,
    ignore: int | Collection[int] = IGNORE,
    epsilon: float = 1e-4,
    class_weights: Literal["prior", "uniform"] = "prior",
    normalise: bool = False,
) -> Float[Array, ""]:
    r"""TransRate: mutual information of features and labels by coding rates.

    $$R(f - \bar f) - \sum_c w_c R(Z_c), \qquad
    R(Z) = \tfrac12 \log\det\Bigl(I + \frac{1}{n \epsilon} Z^\top Z\Bigr)$$

    with the rows $Z_c$ of class c of the features centred all together, each rate with
    its own number n of rows. It does not change under rotation and shift of the
    features; scaling them is scaling $\epsilon$.

    Args:
        features: `(n, d)` or `(b, h, w, d)` features of the target instances.
        labels: target ids, `(n,)` or `(b, h, w)`.
        num_classes: number of target classes; None re-indexes the ids present.
        weights: non-negative weight of every instance; uniform by default.
        ignore: the label, or labels, that count for nothing.
        epsilon: squared distortion of the code, in squared units of the features.
        class_weights: `"prior"`, the share of a class, which makes it a mutual
            information; `"uniform"`, 1 over the number of classes present, as
            published code has it. The two differ where classes do.
        normalise: divide the centred features by their Frobenius norm first.

    Returns:
        Nats, at least 0 with `"prior"`; larger means more transferable. 0 for a single
        class.

    Raises:
        TypeError, ValueError: arrays that do not fit, labels out of range, an epsilon
            that is not positive, nothing left to score.

    Reference:
        Huang, Huang, Rong, Yang and Wei, "Frustratingly Easy Transferability
        Estimation", ICML 2022, Equations 6 and 7.
    """
    as_real("epsilon", epsilon, above=0)
    if class_weights not in ("prior", "uniform"):
        raise ValueError(
            f"class_weights: {class_weights!r} is neither 'prior' nor 'uniform'"
        )
    rows = labelled_rows(
        features, labels, num_classes=num_classes, weights=weights, ignore=ignore
    )
    return transrate_core(
        rows.features,
        rows.labels,
        rows.weights,
        epsilon,
        num_classes=rows.num_classes,
        class_weights=class_weights,
        normalise=normalise,
    )


@functools.partial(
    jax.jit, static_argnames=("num_classes", "class_weights", "normalise")
)
def transrate_core(
    features: Features,
    labels: Labels,
    weights: Weights,
    epsilon: float | Float[Array, ""] = 1e-4,
    *,
    num_classes: int,
    class_weights: str = "prior",
    normalise: bool = False,
) -> Float[Array, ""]:
    """Return TransRate of indexed labels; rows of weight 0 count for nothing."""
    found = by_class(features, labels, weights, num_classes)
    # Squares of large or small features leave the range; their logarithms do not.
    factor = factor_of(found.centred, by_column=False)
    centred = found.centred * factor
    log_epsilon = jnp.log(epsilon) + 2 * jnp.log(factor[0, 0])
    if normalise:
        log_epsilon = jnp.log(epsilon)
        length = jnp.sum(weights[:, None] * jnp.square(centred))
        centred = safe_divide(centred, jnp.sqrt(length))
    share = found.prior
    if class_weights == "uniform":
        share = found.present / found.present.sum()

    def rate(weights: Weights, total: Float[Array, ""]) -> Float[Array, ""]:
        return coding_rate(centred, safe_divide(weights, total), log_epsilon)

    by_member = weights * found.member.T  # (c, n)
    rates = lax.map(lambda part: rate(*part), (by_member, found.counts))
    return rate(weights, found.total) - dot(share, rates)


def coding_rate(
    rows: Float[Array, "n d"], share: Weights, log_epsilon: Float[Array, ""]
) -> Float[Array, ""]:
    """Return half the log-determinant of I + Z'Z / epsilon of rows by share."""
    half = jnp.sqrt(share)[:, None] * rows
    gram = dot(half.T, half) if half.shape[1] <= len(half) else dot(half, half.T)
    # Rounding may make an eigenvalue of 0 negative, where a Cholesky factor fails.
    values = jnp.linalg.eigvalsh(gram)
    logs = jnp.log(jnp.where(values > 0, values, 1)) - log_epsilon
    return jnp.sum(jnp.where(values > 0, jnp.logaddexp(0.0, logs), 0)) / 2


SPEC = ScoreSpec(
    name="transrate",
    function=transrate,
    inputs=("target_features",),
    title="TransRate",
    unit="nats",
    bounds=lambda labels, arrays: (0.0, np.inf),
    floor=lambda share: 0.0,
    laws=laws("duplicates", "rotation", "shift", "zero_feature"),
    merging_targets="not higher",
    smooth=False,  # a class leaves with the last image that shows it
    rtol=1e-4,
)

"""H-score of real-valued targets: squared canonical correlations."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array, Bool, Float

from trfjax.arrays import safe_divide
from trfjax.scores.classwise import centre, dot
from trfjax.scores.values import valued_rows
from trfjax.typing import ArrayInput, Features, Weights


def h_score_regression(
    features: ArrayInput,
    targets: ArrayInput,
    *,
    weights: ArrayInput | None = None,
    rcond: float | None = None,
) -> Float[Array, ""]:
    r"""H-score of real-valued targets: what linear maps of the features explain.

    $$H = \operatorname{tr}\bigl(\Sigma_F^{+} \Sigma_{FY} \Sigma_Y^{+}
    \Sigma_{YF}\bigr)$$

    It is the sum of the squared canonical correlations of features and targets, and on
    one-hot targets the H-score of their classes. It does not change under invertible
    affine maps of either side. Its derivative is that by the features.

    Args:
        features: `(n, d)` or `(b, h, w, d)` features of the target instances.
        targets: `(n,)`, `(n, p)`, `(b, h, w)` or `(b, h, w, p)` values, such as depth
            or surface normals; an instance with a NaN counts for nothing.
        weights: non-negative weight of every instance; uniform by default.
        rcond: singular values up to `rcond` times the largest count as 0, on both
            sides; default `10 d eps`, with the eps of float32 unless x64 is enabled.

    Returns:
        A number in `[0, min(rank of features, rank of targets)]`, no unit; larger
        means more transferable. 0 for constant targets.

    Raises:
        TypeError, ValueError: arrays that do not fit, features that are not finite, a
            negative `rcond`, nothing left to score.

    Reference:
        Bao et al., "An Information-Theoretic Approach to Transferability in Task
        Transfer Learning", ICIP 2019. Canonical correlations: Hotelling, 1936.
    """
    if rcond is not None and not rcond >= 0:
        raise ValueError(f"rcond: {rcond} is not a number >= 0")
    rows, columns, counts = valued_rows(features, targets, weights)
    if rcond is None:
        width = max(rows.shape[1], columns.shape[1])
        rcond = 10 * width * float(jnp.finfo(rows.dtype).eps)
    return h_score_regression_core(rows, columns, counts, rcond)


@jax.jit
def h_score_regression_core(
    features: Features,
    targets: Float[Array, "n p"],
    weights: Weights,
    rcond: float | Float[Array, ""],
) -> Float[Array, ""]:
    """Return the H-score of values; rows of weight 0 count for nothing."""
    share = weights / weights.sum()
    root = jnp.sqrt(share)[:, None]
    centred = root * centre(features, share)
    columns, _, _, kept = _decompose(root * centre(targets, share), rcond)
    columns = columns * kept
    left, size, right, kept = _decompose(centred, rcond)
    along = jnp.where(kept[:, None], dot(left.T, columns), 0)
    # H = max_W 2<Y, FW> - <FW, FW>: at the maximiser the derivative of W drops out.
    solution = dot(right.T, safe_divide(along, jnp.where(kept, size, 0)[:, None]))
    fit = dot(centred, stop_gradient(solution))
    bound = jnp.sum(fit * (2 * columns - fit))
    value = jnp.sum(jnp.square(along))
    return stop_gradient(value) + (bound - stop_gradient(bound))


def _decompose(
    rows: Float[Array, "n k"], rcond: float | Float[Array, ""]
) -> tuple[Array, Array, Array, Bool[Array, " r"]]:
    """Return the singular value decomposition, held constant, and what is not 0."""
    left, size, right = jnp.linalg.svd(stop_gradient(rows), full_matrices=False)
    return left, size, right, size > rcond * size[0]

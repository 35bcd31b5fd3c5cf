r"""An approximate inverse of the Hessian of the semi-dual, for conjugate gradients.

The operator is `H = diag(c) - P^T diag(1/a) P`. Where epsilon is small against the
cost, a column shares most of its mass with no other, so that the diagonal of H is far
below `c`; and groups of points hardly exchange mass, so that moving the potentials of a
whole group costs next to nothing. The first is mended by the exact diagonal, the second
by solving H on the space that the target labels span, whose image under P is at hand
wherever the label joint is. On raw logits this halves the products.
"""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from trfjax.arrays import safe_divide

WORTHWHILE = 250_000  # entries of the plan from which it costs less than it saves
FLOOR = 1e-5  # of the diagonal, as a share of the column
SHIFT = 1e-4  # of the small system, as a share of the mass of a label


def preconditioner(
    squares: Float[Array, " m"],
    sums: Float[Array, " m"],
    moved: Float[Array, "n t"],
    labels: Float[Array, "m t"],
    a: Float[Array, " n"],
) -> Callable[[Array], Array]:
    """Return the approximate inverse.

    Args:
        squares: sum over rows of `P**2 / a`.
        sums: of the columns of P.
        moved: `P @ labels`.
        labels: of the target points.
        a: sums of the rows.
    """
    diagonal = jnp.maximum(sums - squares, FLOOR * sums)
    inverse = safe_divide(jnp.ones_like(sums), diagonal)
    mass = labels.T @ sums
    small = jnp.matmul((labels * sums[:, None]).T, labels, precision="highest")
    rows = safe_divide(jnp.ones_like(a), a)[:, None] * moved
    small = small - jnp.matmul(moved.T, rows, precision="highest")
    small = small + jnp.diag(jnp.where(mass > 0, SHIFT * mass, 1))
    across = jnp.linalg.inv(small)

    def apply(residual: Array) -> Array:
        return inverse * residual + labels @ (across @ (residual @ labels))

    return apply

"""Evidence of a Bayesian linear model, of columns in the basis of the features."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from trfjax.arrays import safe_divide

# The search for t = alpha / beta, relative to the largest eigenvalue of F F^T.
LOWEST, HIGHEST, GRID, REFINE = 1e-10, 1e6, 64, 40
GOLDEN = (5**0.5 - 1) / 2


class Spectrum(NamedTuple):
    """The columns in the basis of the features."""

    eigenvalues: Float[Array, " k"]  # of F F^T; the other n - k are 0
    along: Float[Array, "c k"]  # z^2, the squared coordinates of every column
    rest: Float[Array, " c"]  # squared length outside the span of the features
    n: Float[Array, ""]


def evidence(problem: Spectrum, t: Float[Array, "*g c"]) -> Float[Array, "*g c"]:
    """Return the evidence of every column per instance, the best beta for each t."""
    log_k = jnp.log1p(problem.eigenvalues / t[..., None])
    q = jnp.sum(problem.along * jnp.exp(-log_k), axis=-1) + problem.rest
    q = jnp.where(q > 0, q, 1)  # an absent class
    fit = jnp.log(2 * jnp.pi) + 1 + jnp.log(q / problem.n)
    return -0.5 * (fit + jnp.sum(log_k, axis=-1) / problem.n)


def best_ratio(
    problem: Spectrum,
) -> tuple[Float[Array, " c"], Bool[Array, " c"], Bool[Array, " c"]]:
    """Return the best t of every column, and whether it is the lowest or highest.

    The best point of a grid in log t, then golden section between its neighbours.
    """
    top = problem.eigenvalues[0]
    scale = jnp.where(top > 0, top, 1)
    grid = jnp.linspace(np.log(LOWEST), np.log(HIGHEST), GRID, dtype=scale.dtype)
    columns = jnp.ones_like(problem.rest)
    on_grid = jax.lax.map(
        lambda u: evidence(problem, scale * jnp.exp(u) * columns), grid
    )
    best = jnp.argmax(on_grid, axis=0)
    low, high = grid[jnp.maximum(best - 1, 0)], grid[jnp.minimum(best + 1, GRID - 1)]

    def narrow(_: Any, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        a, b = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        left, right = (evidence(problem, scale * jnp.exp(u)) for u in (a, b))
        return jnp.where(left >= right, low, a), jnp.where(left >= right, b, high)

    low, high = jax.lax.fori_loop(0, REFINE, narrow, (low, high))
    u = jnp.where(best == 0, low, jnp.where(best == GRID - 1, high, (low + high) / 2))
    # Towards the high end the evidence is level, so rounding picks the place.
    lowest = (u - grid[0] < 1e-3 * (grid[1] - grid[0])) & (top > 0)
    highest = (u > np.log(HIGHEST) - np.log(100)) | (top == 0)
    return scale * jnp.exp(u), lowest, highest


def reference_evidence(problem: Spectrum, *, d: int, mode: str) -> Float[Array, ""]:
    """Return the evidence of one column per instance as published code computes it."""
    eigenvalues, along, rest, n = problem
    tolerance = 1e-3 if mode == "reference" else 1e-2
    extra = 0.0 if mode == "reference" else 1e-5
    summed = jnp.minimum(n, d) if mode == "reference" else d

    def step(state: tuple) -> tuple:
        count, _, alpha, beta, *_ = state
        t = alpha / beta
        gamma = jnp.sum(eigenvalues / (eigenvalues + t))
        length = jnp.sum(eigenvalues * along / jnp.square(t + eigenvalues))
        misfit = jnp.sum(along / jnp.square(1 + eigenvalues / t)) + rest
        alpha, beta = gamma / (length + 1e-5), (n - gamma) / (misfit + 1e-5)
        settled = jnp.abs(alpha / beta - t) / t <= tolerance
        return count + 1, settled, alpha, beta, length, misfit

    one = jnp.ones_like(rest)
    state = (0, jnp.zeros_like(rest, bool), one, one, one, one)
    state = jax.lax.while_loop(lambda s: (s[0] < 11) & ~s[1], step, state)
    _, _, alpha, beta, length, misfit = state
    # Eigenvalues of 0 add log(alpha) each, as many as the code sums over.
    log_det = jnp.sum(jnp.log1p(safe_divide(beta * eigenvalues, alpha)))
    log_det += summed * jnp.log(alpha)
    total = d * jnp.log(alpha) + n * jnp.log(beta) - log_det - n * jnp.log(2 * jnp.pi)
    return (total - beta * (misfit + extra) - alpha * (length + extra)) / (2 * n)


def reference_evidences(problem: Spectrum, *, d: int, mode: str) -> Float[Array, " c"]:
    """Return what `reference_evidence` returns of every column."""

    def one(along: Array, rest: Array) -> Array:
        return reference_evidence(
            problem._replace(along=along, rest=rest), d=d, mode=mode
        )

    return jax.vmap(one)(problem.along, problem.rest)


def mean_over_classes(value: Array, present: Array, *, intercept: bool) -> Array:
    """Return the mean over the classes that occur; NaN where none can be explained."""
    count = present.sum()
    score = jnp.sum(jnp.where(present, value, 0)) / count.astype(value.dtype)
    return jnp.where(count > 1, score, jnp.nan) if intercept else score


def evidence_without_features(share: Float[np.ndarray, " c"]) -> float:
    """Return LogME where no feature explains anything: noise of the best size."""
    share = share[share > 0]
    return float(-0.5 * np.mean(np.log(2 * np.pi) + 1 + np.log(share)))


def likelihood_explained(score: float, share: Float[np.ndarray, " c"]) -> float:
    """Return the R squared that this evidence is worth, against the best constants.

    Features whose mean is not 0 act as a constant too, so that what constants explain
    says nothing of a source. Cox and Snell: 1 - exp(-2 (evidence - its)).
    """
    share = share[(share > 0) & (share < 1)]
    constant = -0.5 * np.mean(np.log(2 * np.pi) + 1 + np.log(share * (1 - share)))
    return float(1 - np.exp(-2 * (score - constant)))

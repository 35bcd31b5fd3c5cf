"""Mixtures of Gaussians in principal components, of weighted rows."""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from trfjax.atoms.kmeans import kmeans, nearest
from trfjax.scores.classwise import dot, scatter
from trfjax.typing import PRNGKeyArray

LEAST_MASS = 1e-6  # of a component, in instances; below it keeps no covariance


class Mixture(NamedTuple):
    """A fitted mixture, and how the fit went."""

    shares: Float[Array, " k"]
    means: Float[Array, "k d"]
    factors: Float[Array, "k d d"]  # lower Cholesky factors of the covariances
    likelihood: Float[Array, ""]  # mean log-density, nats
    steps: Int[Array, ""]


@functools.partial(jax.jit, static_argnames=("components", "covariance", "steps"))
def fit_mixture(
    rows: Float[Array, "n d"],
    weights: Float[Array, " n"],
    key: PRNGKeyArray,
    *,
    components: int,
    covariance: str,
    regularisation: float | Float[Array, ""],
    tolerance: float | Float[Array, ""],
    steps: int,
) -> tuple[Mixture, Float[Array, "n k"]]:
    """Return a mixture and the responsibilities of its components.

    Args:
        rows: the instances.
        weights: multiplicities.
        key: of the seeding by k-means.
        components: number of Gaussians.
        covariance: "full" or "diagonal".
        regularisation: added to every variance, in mean variances of the rows.
        tolerance: gain of the mean log-density at which the fit stops.
        steps: of expectation and maximisation at most.
    """
    centred = rows - dot(weights / weights.sum(), rows)
    level = jnp.sum(weights[:, None] * centred**2) / weights.sum() / rows.shape[1]
    least = regularisation * jnp.where(level > 0, level, 1)
    uniform = jax.random.uniform(key, (components, 3), rows.dtype)
    centres = kmeans(rows, weights, uniform, steps=10)
    first = jax.nn.one_hot(nearest(rows, centres)[0], components, dtype=rows.dtype)

    def maximise(resp: Float[Array, "n k"]) -> tuple[Array, Array, Array]:
        held = weights[:, None] * resp
        mass = held.sum(axis=0)
        safe = jnp.maximum(mass, LEAST_MASS)
        means = dot(held.T, rows) / safe[:, None]

        def spread(parts: tuple[Array, Array]) -> Float[Array, "d d"]:
            mean, share = parts
            matrix = scatter(rows - mean, share)
            if covariance == "diagonal":
                matrix = jnp.diag(jnp.diagonal(matrix))
            matrix += least * jnp.eye(rows.shape[1], dtype=rows.dtype)
            return jnp.linalg.cholesky(matrix)

        factors = lax.map(spread, (means, (held / safe).T))
        return mass / weights.sum(), means, factors

    def step(state: tuple) -> tuple:
        count, _, before, resp = state
        fitted = maximise(resp)
        resp, likelihood = expect(rows, weights, *fitted)
        return count + 1, before, likelihood, resp

    def going(state: tuple) -> Array:
        count, before, now, _ = state
        return (count < 2) | ((count < steps) & (now - before > tolerance))

    low = jnp.asarray(-jnp.inf, rows.dtype)
    count, _, likelihood, resp = lax.while_loop(going, step, (0, low, low, first))
    return Mixture(*maximise(resp), likelihood, jnp.asarray(count)), resp


def expect(
    rows: Float[Array, "n d"],
    weights: Float[Array, " n"],
    shares: Float[Array, " k"],
    means: Float[Array, "k d"],
    factors: Float[Array, "k d d"],
) -> tuple[Float[Array, "n k"], Float[Array, ""]]:
    """Return the responsibilities of the components and the mean log-density."""

    def density(parts: tuple[Array, Array]) -> Float[Array, " n"]:
        mean, factor = parts
        whitened = jax.scipy.linalg.solve_triangular(
            factor, (rows - mean).T, lower=True
        )
        half_log = jnp.sum(jnp.log(jnp.diagonal(factor)))
        return -jnp.sum(whitened**2, axis=0) / 2 - half_log

    logs = lax.map(density, (means, factors)).T
    logs += jnp.log(shares) - rows.shape[1] * jnp.log(2 * jnp.pi) / 2
    whole = jax.nn.logsumexp(logs, axis=1)
    resp = jnp.exp(logs - whole[:, None])
    return resp, jnp.sum(weights * whole) / weights.sum()


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

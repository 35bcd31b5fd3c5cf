"""Distances of source and target classes between the clouds of a draw."""

from __future__ import annotations

import functools
from typing import Any, Literal, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from trfjax.arrays import is_traced, safe_divide
from trfjax.transport.exact import exact_joint
from trfjax.transport.joint import couple_many
from trfjax.transport.problem import Problem

LabelDistance: TypeAlias = Literal["exact", "entropic", "gaussian", "means"]
CLASS_SAMPLES = 256  # instances of a class its cloud is made of, where one is needed


def label_distances(
    problems: Problem, kind: LabelDistance, epsilon: Any
) -> Float[Array, "k s t"]:
    """Return the distances of the classes of every draw; 0 where one is absent."""
    if kind == "exact":
        return _exact(problems)
    if kind == "entropic":
        epsilon = jnp.broadcast_to(epsilon, len(problems.source))
        return _entropic(problems, epsilon)
    return _closed_form(problems, kind == "gaussian")


@functools.partial(jax.jit, static_argnames=("spread",))
def _closed_form(problems: Problem, spread: bool) -> Float[Array, "k s t"]:
    def one(problem: Problem) -> Array:
        shift = problem.source_weights @ problem.source
        x, y = problem.source - shift, problem.target - shift
        p, left = _class_shares(problem.source_weights, problem.source_labels)
        q, right = _class_shares(problem.target_weights, problem.target_labels)
        means = left @ x, right @ y
        distance = jnp.sum((means[0][:, None] - means[1][None]) ** 2, axis=2)
        if spread:
            distance = distance + _bures(_roots(x, left), _roots(y, right))
        return jnp.where((p > 0)[:, None] & (q > 0), distance, 0)

    return lax.map(one, problems)


def _class_shares(weights: Array, labels: Array) -> tuple[Array, Array]:
    """Return the mass of every class, and the share each instance has in it."""
    mass = weights @ labels
    return mass, safe_divide((weights[:, None] * labels).T, mass[:, None])


def _roots(points: Float[Array, "n d"], shares: Float[Array, "s n"]) -> Array:
    """Return the square roots of the covariances of all classes."""

    def one(share: Array) -> Array:
        apart = (points - share @ points) * jnp.sqrt(share)[:, None]
        values, vectors = jnp.linalg.eigh(
            jnp.matmul(apart.T, apart, precision="highest")
        )
        return (vectors * jnp.sqrt(jnp.maximum(values, 0))) @ vectors.T

    return lax.map(one, shares)


def _bures(left: Float[Array, "s d d"], right: Float[Array, "t d d"]) -> Array:
    """Return `tr(S + T - 2 (S^1/2 T S^1/2)^1/2)` from the square roots of S and T.

    The last trace is the sum of singular values of the product of the roots, which
    loses less to rounding than the root of a product of covariances.
    """

    def one(root: Array) -> Array:
        products = jnp.matmul(root, right, precision="highest")
        return jnp.linalg.svd(products, compute_uv=False).sum(axis=1)

    cross = lax.map(one, left)
    size = jnp.sum(left**2, axis=(1, 2))[:, None] + jnp.sum(right**2, axis=(1, 2))
    return jnp.maximum(size - 2 * cross, 0)


@jax.jit
def _entropic(problems: Problem, epsilon: Float[Array, " k"]) -> Float[Array, "k s t"]:
    def one(part: tuple[Problem, Array]) -> Array:
        problem, epsilon = part
        x, a, p = _class_clouds(
            problem.source, problem.source_weights, problem.source_labels
        )
        y, b, q = _class_clouds(
            problem.target, problem.target_weights, problem.target_labels
        )
        rows, columns = jnp.meshgrid(jnp.arange(len(x)), jnp.arange(len(y)))
        i, j = rows.T.reshape(-1), columns.T.reshape(-1)
        across = _costs(x[i], a[i], y[j], b[j], epsilon).reshape(len(x), len(y))
        within = _costs(x, a, x, a, epsilon)[:, None] + _costs(y, b, y, b, epsilon)
        distance = jnp.maximum(across - within / 2, 0)
        return jnp.where((p > 0)[:, None] & (q > 0), distance, 0)

    return lax.map(one, (problems, epsilon))


def _class_clouds(
    points: Array, weights: Array, labels: Array
) -> tuple[Array, Array, Array]:
    """Return the first instances of every class, padded with weight 0."""
    count = min(CLASS_SAMPLES, len(points))

    def one(share: Array) -> tuple[Array, Array]:
        order = jnp.argsort(~(share > 0), stable=True)[:count]
        chosen = share[order]
        # An absent class is any one point; what it costs is not used.
        chosen = jnp.where(chosen.sum() > 0, chosen, jnp.arange(count) == 0)
        return points[order], chosen / chosen.sum()

    clouds, chosen = lax.map(one, (weights[:, None] * labels).T)
    return clouds, chosen, weights @ labels


def _costs(x: Array, a: Array, y: Array, b: Array, epsilon: Array) -> Array:
    """Return the transported cost of every pair of clouds."""
    pairs = Problem(
        source=x,
        target=y,
        source_weights=a,
        target_weights=b,
        source_labels=jnp.ones((*a.shape, 1), x.dtype),
        target_labels=jnp.ones((*b.shape, 1), y.dtype),
    )
    return couple_many(pairs, epsilon=epsilon).cost


def _exact(problems: Problem) -> Float[Array, "k s t"]:
    if is_traced(problems.source, problems.target, problems.source_labels):
        raise TypeError(
            "label_distance='exact' runs on the host and cannot be traced; use "
            "'gaussian', 'entropic' or 'means'"
        )
    x, ys, y, yt = (
        np.asarray(part, np.float64)
        for part in (
            problems.source,
            problems.source_labels,
            problems.target,
            problems.target_labels,
        )
    )
    found = np.zeros((len(x), ys.shape[2], yt.shape[2]))
    for k, s, t in np.ndindex(*found.shape):
        left, right = x[k][ys[k, :, s] > 0], y[k][yt[k, :, t] > 0]
        count = min(len(left), len(right), CLASS_SAMPLES)
        if count:
            one = np.ones((count, 1))
            found[k, s, t] = exact_joint(left[:count], one, right[:count], one)[2]
    return jnp.asarray(found, problems.source.dtype)

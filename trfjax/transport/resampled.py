"""Many weightings of one pair of clouds: resampled images share points and kernel."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float

from trfjax.arrays import safe_divide
from trfjax.transport.joint import couple_many
from trfjax.transport.kernel import scaled_products
from trfjax.transport.problem import Problem, Settings, centre
from trfjax.transport.sinkhorn import solve
from trfjax.typing import AnyArray

MAX_STEPS = 500  # Sinkhorn steps of the shared kernel
CHECK = 5  # steps between two looks at the error
RELAX = 1.5  # of the scalings' logarithms; near a solution any below 2 converges
TIGHTER = 10.0  # than the tolerance: a step costs little


class Base(NamedTuple):
    """The plan of one weighting, from which those of all others start."""

    source_weights: Any  # (n,), arrays of NumPy or JAX
    target_weights: Any  # (m,)
    # Of the clouds that `centre` makes: plan = exp(2/eps x.y + log_scale + log_offset).
    log_scale: Float[AnyArray, " n"]  # minus infinity where there is no mass
    log_offset: Float[AnyArray, " m"]


class Resampled(NamedTuple):
    """The quantities read off the plan of every weighting."""

    joint: Float[Array, "b s t"]
    marginal_error: Float[Array, " b"]
    converged: Bool[Array, " b"]


def couple_resampled(
    source: Float[AnyArray, "n d"],
    target: Float[AnyArray, "m d"],
    source_labels: Float[AnyArray, "#b n s"],
    target_labels: Float[AnyArray, "#b m t"],
    *,
    epsilon: float,
    base: Base | None = None,
    settings: Settings | None = None,
) -> Resampled:
    """Couple the same points under `b` weightings.

    The plan of one weighting, in which every point has mass that has some in another,
    is the kernel of all others. Their scalings differ little from 1, so that a step for
    all of them is one product of matrices. A weighting that does not converge in this
    way, because it leaves out what the base leans on, is solved by itself.

    Args:
        source: points.
        target: points.
        source_labels: mass of every point by label; each weighting sums to 1. A
            leading axis of 1 serves all weightings.
        target_labels: likewise.
        epsilon: entropic regularisation, in units of the squared distance.
        base: the plan of one weighting, such as that of all images; by default the
            plan of the mean weighting, which is solved for first.
        settings: when to stop.
    """
    settings = settings or Settings()
    # What is not one of the two programs is NumPy: each array operation would be one.
    eps = np.asarray(epsilon, source.dtype)
    if base is None:
        base = _mean_plan(source, target, source_labels, target_labels, eps, settings)
    found = _shared(source, target, source_labels, target_labels, base, eps, settings)
    left = np.flatnonzero(~np.asarray(found.converged))
    if not len(left):
        return found
    labels = (_some(part, left) for part in (source_labels, target_labels))
    rest = _one_by_one(source, target, *labels, epsilon=eps, settings=settings)
    merged = [np.array(part) for part in found]
    for whole, part in zip(merged, rest, strict=True):
        whole[left] = part
    return Resampled(*jax.device_put(merged))


@functools.partial(jax.jit, static_argnames=("settings",))
def _mean_plan(
    source: Array,
    target: Array,
    source_labels: Array,
    target_labels: Array,
    epsilon: Array,
    settings: Settings,
) -> Base:
    a, b = (part.sum(axis=2).mean(axis=0) for part in (source_labels, target_labels))
    ones = jnp.ones((len(a), 1), a.dtype), jnp.ones((len(b), 1), b.dtype)
    problem = Problem(centre(source, a), centre(target, b), a, b, *ones)
    found = solve(problem, epsilon, settings)
    return Base(a, b, found.log_scale, found.log_offset)


def _some(labels: AnyArray, index: np.ndarray) -> AnyArray:
    """Return the labels of some weightings; one that serves all stays as it is."""
    return labels if len(labels) == 1 else np.asarray(labels)[index]


@functools.partial(jax.jit, static_argnames=("settings",))
def _shared(
    source: Array,
    target: Array,
    source_labels: Array,
    target_labels: Array,
    base: Base,
    epsilon: Array,
    settings: Settings,
) -> Resampled:
    count = max(len(source_labels), len(target_labels))
    a, b = source_labels.sum(axis=2), target_labels.sum(axis=2)
    x, y = centre(source, base.source_weights), centre(target, base.target_weights)
    products = scaled_products(x, y, 2 / epsilon)
    plan = jnp.exp(products + base.log_scale[:, None] + base.log_offset)
    a, b = (jnp.broadcast_to(w, (count, w.shape[1])) for w in (a, b))
    u, v, error = _scalings(plan, a, b, safe_divide(b, base.target_weights), settings)
    shares = [_shares(labels) for labels in (source_labels, target_labels)]
    left = jnp.einsum("bns,nm->bsm", shares[0] * u[:, :, None], plan)
    joint = jnp.einsum("bsm,bmt->bst", left, v[:, :, None] * shares[1])
    return Resampled(joint, error, error <= settings.tolerance)


def _shares(labels: Array) -> Array:
    """Return the share of every label in the mass of a point; 0 without mass."""
    return safe_divide(labels, labels.sum(axis=2, keepdims=True))


def _scalings(
    plan: Array, a: Array, b: Array, v: Array, settings: Settings
) -> tuple[Array, Array, Array]:
    """Return the scalings that give the plan the marginals of every weighting."""

    def rows(v: Array) -> Array:
        return safe_divide(a, v @ plan.T)

    def step(_: Any, state: tuple[Array, Array]) -> tuple[Array, Array]:
        u, v = state
        v = _relaxed(v, safe_divide(b, u @ plan))
        return _relaxed(u, rows(v)), v

    def look(state: tuple[Array, ...]) -> tuple[Array, ...]:
        u, v, _, steps = state
        u, v = lax.fori_loop(0, CHECK, step, (u, v))
        u = rows(v)  # exact rows, so that the error is that of the columns
        error = jnp.abs(v * (u @ plan) - b).sum(axis=1)
        return u, v, error, steps + CHECK

    def going(state: tuple[Array, ...]) -> Array:
        error, steps = state[2:]
        return jnp.any(error > settings.tolerance / TIGHTER) & (steps < MAX_STEPS)

    begin = (rows(v), v, jnp.full(len(v), jnp.inf, v.dtype), jnp.zeros((), jnp.int32))
    u, v, error, _ = lax.while_loop(going, look, begin)
    return u, v, error


def _relaxed(old: Array, new: Array) -> Array:
    """Return a step beyond the new scaling; 0 where that is 0."""
    safe = jnp.where((old > 0) & (new > 0), old, 1)
    beyond = jnp.where(old > 0, safe * jnp.where(new > 0, new / safe, 1) ** RELAX, new)
    return jnp.where(new > 0, beyond, 0)


@functools.partial(jax.jit, static_argnames=("settings",))
def _one_by_one(
    source: Array,
    target: Array,
    source_labels: Array,
    target_labels: Array,
    *,
    epsilon: Array,
    settings: Settings,
) -> Resampled:
    count = max(len(source_labels), len(target_labels))

    def all_of(part: Array) -> Array:
        return jnp.broadcast_to(part, (count, *part.shape[-2:]))

    labels = [all_of(part) for part in (source_labels, target_labels)]
    weights = [part.sum(axis=2) for part in labels]
    shares = [_shares(part) for part in labels]
    problems = Problem(all_of(source), all_of(target), *weights, *shares)
    found = couple_many(problems, epsilon=epsilon, settings=settings)
    return Resampled(found.joint, found.marginal_error, found.converged)

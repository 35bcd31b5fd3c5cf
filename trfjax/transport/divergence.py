r"""The Sinkhorn divergence: a distance of clouds that is 0 where they coincide."""

from __future__ import annotations

import functools
from typing import Any, cast

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from trfjax.arrays import as_float, is_traced
from trfjax.numbers import as_real
from trfjax.transport.kernel import (
    join_rows,
    log_weights,
    normalised_rows,
    split_rows,
)
from trfjax.transport.problem import Problem, Settings, centre
from trfjax.transport.sinkhorn import solve
from trfjax.typing import ArrayInput


def sinkhorn_divergence(
    source: ArrayInput,
    target: ArrayInput,
    *,
    epsilon: Array | float,
    source_weights: ArrayInput | None = None,
    target_weights: ArrayInput | None = None,
    settings: Settings | None = None,
) -> Float[Array, ""]:
    r"""Sinkhorn divergence: how far two clouds are apart, without the entropic bias.

    $$S_\epsilon(\alpha, \beta) = OT_\epsilon(\alpha, \beta)
    - \tfrac12 OT_\epsilon(\alpha, \alpha) - \tfrac12 OT_\epsilon(\beta, \beta),
    \qquad OT_\epsilon = \min_P \langle P, C \rangle + \epsilon KL(P \| ab^T)$$

    with the squared Euclidean cost. Each term is read off the potentials, so its error
    is of second order in that of the marginals. Differentiable in clouds, weights and
    epsilon by the envelope theorem: no linear solve, no unrolling; `jit` and `vmap`
    compose with it.

    Args:
        source: `(n, d)` points.
        target: `(m, d)` points.
        epsilon: entropic regularisation, in units of the squared distance.
        source_weights: `(n,)` non-negative weights, divided by their sum; uniform if
            None. A point of weight 0 is padding, and its weight has no derivative.
        target_weights: likewise for the target.
        settings: when to stop; `Settings(tolerance=1e-4)` otherwise. The solver is
            always the fast one.

    Returns:
        A value of 0 or more, in units of the squared distance; 0 where the weighted
        clouds are the same. Smaller means closer.

    Raises:
        ValueError: clouds that are not two-dimensional or differ in width, weights
            that do not fit, are negative or all 0, an epsilon that is not positive.

    Reference:
        Feydy et al., "Interpolating between Optimal Transport and MMD using Sinkhorn
        Divergences", AISTATS 2019, Equation 3 and Theorem 1.
    """
    x, y = as_float("source", source), as_float("target", target)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(
            "source, target: expected (n, d) and (m, d) points of one width, got "
            f"{x.shape} and {y.shape}"
        )
    if not is_traced(epsilon):
        as_real("epsilon", epsilon, above=0)
    a = _weights("source_weights", source_weights, len(x))
    b = _weights("target_weights", target_weights, len(y))
    settings = settings or Settings(tolerance=1e-4)
    x, y = jnp.asarray(x), jnp.asarray(y)
    epsilon = jnp.asarray(epsilon, x.dtype)

    def cost(x: Array, y: Array, a: Array, b: Array) -> Array:
        return regularised_cost(x, y, a, b, epsilon, settings)

    value = cost(x, y, a, b) - cost(x, x, a, a) / 2 - cost(y, y, b, b) / 2
    return jnp.maximum(value, 0)


def _weights(name: str, weights: ArrayInput | None, count: int) -> Float[Array, " n"]:
    value = jnp.ones(count) if weights is None else as_float(name, weights)
    if value.shape != (count,):
        raise ValueError(f"{name}: shape {value.shape} does not fit {count} points")
    if not is_traced(value) and not ((value >= 0).all() and (value > 0).any()):
        raise ValueError(f"{name}: negative values, or nothing above 0")
    value = jnp.asarray(value)
    return value / value.sum()


@functools.partial(jax.jit, static_argnames=("settings",))
def regularised_cost(
    source: Float[Array, "n d"],
    target: Float[Array, "m d"],
    source_weights: Float[Array, " n"],
    target_weights: Float[Array, " m"],
    epsilon: Array,
    settings: Settings,
) -> Float[Array, ""]:
    """Return the least `<P, C> + epsilon KL(P | ab')`; weights sum to 1."""
    a, b = source_weights, target_weights
    apart = jnp.sum((a @ source - b @ target) ** 2)
    # Padding goes to the middle: far away it would add stages to the solution.
    x = jnp.where(a[:, None] > 0, centre(source, a), 0)
    y = jnp.where(b[:, None] > 0, centre(target, b), 0)
    return cast(Array, _centred_cost(x, y, a, b, epsilon, settings)) + apart


@functools.partial(jax.custom_vjp, nondiff_argnums=(5,))
def _centred_cost(
    x: Any, y: Any, a: Any, b: Any, epsilon: Any, settings: Settings
) -> Any:
    return _forward(x, y, a, b, epsilon, settings)[0]


def _forward(x: Any, y: Any, a: Any, b: Any, epsilon: Any, settings: Settings):
    one = Problem(
        source=x,
        target=y,
        source_weights=a,
        target_weights=b,
        source_labels=jnp.ones_like(a)[:, None],
        target_labels=jnp.ones_like(b)[:, None],
    )
    found = solve(one, epsilon, settings)
    f = _potential(found.log_scale, a, epsilon) + jnp.sum(x**2, axis=1)
    g = _potential(found.log_offset, b, epsilon) + jnp.sum(y**2, axis=1)
    value = jnp.sum(a * f) + jnp.sum(b * g)
    return value, (x, y, a, b, epsilon, found.log_offset, f, g)


def _potential(exponent: Array, weights: Array, epsilon: Array) -> Array:
    """Return the potential less the square of the point; for padding any number."""
    kept = weights > 0
    share = jnp.where(kept, exponent, 0) - jnp.where(kept, log_weights(weights), 0)
    return epsilon * share


def _backward(settings: Settings, kept: tuple[Array, ...], cotangent: Array):
    x, y, a, b, epsilon, offset, f, g = kept

    def rows(carry: tuple[Array, Array], part: tuple[Array, Array]):
        plan, _ = normalised_rows(*part, y, 2 / epsilon, offset)
        pull = jnp.matmul(plan, y, precision="highest")
        back = jnp.matmul(plan.T, part[0], precision="highest")
        return (carry[0] + plan.sum(axis=0), carry[1] + back), pull

    block = settings.block(len(y))
    parts = (split_rows(x, block), split_rows(a, block))
    begin = (jnp.zeros_like(b), jnp.zeros_like(y))
    (mass, back), pull = lax.scan(rows, begin, parts)
    pull = join_rows(pull, len(x))
    d_x = 2 * (a[:, None] * x - pull)
    d_y = 2 * (mass[:, None] * y - back)
    transported = (
        jnp.sum(a * jnp.sum(x**2, axis=1))
        + jnp.sum(mass * jnp.sum(y**2, axis=1))
        - 2 * jnp.sum(x * pull)
    )
    divergence = (jnp.sum(a * f) + jnp.sum(b * g) - transported) / epsilon
    d_a, d_b = jnp.where(a > 0, f, 0), jnp.where(b > 0, g, 0)
    terms = (d_x, d_y, d_a, d_b, jnp.asarray(divergence, epsilon.dtype))
    return tuple(cotangent * term for term in terms)


_centred_cost.defvjp(_forward, _backward)

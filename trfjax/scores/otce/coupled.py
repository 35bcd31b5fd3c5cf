"""Drawn problems solved: the terms of OTCE of every draw."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Int

from trfjax.arrays import is_traced
from trfjax.scores.otce.result import (
    OtceDraws,
)
from trfjax.transport.conditional import entropy_given_rows
from trfjax.transport.exact import exact_joint
from trfjax.transport.joint import Transport, couple_many
from trfjax.transport.problem import Problem, Settings, mean_cost


@functools.partial(jax.jit, static_argnames=("relative", "settings"))
def entropic_draws(
    problems: Problem,
    rows: Int[Array, "k m"],
    surplus: Any,
    epsilon: Any,
    *,
    relative: bool,
    settings: Settings,
) -> tuple[OtceDraws, Array]:
    """Return the terms of every draw under the entropic plan, and epsilon as used.

    Args:
        problems: the draws.
        rows: which rows of the target were drawn.
        surplus: by how much squared distances exceed the cost in the mean, or None.
        epsilon: entropic regularisation.
        relative: whether it is in units of the mean cost of the draw.
        settings: stopping rule.
    """
    if relative:
        # Scaling both clouds by 1/sqrt(mean cost) is the same as scaling epsilon.
        size = jnp.sqrt(mean_cost(problems, surplus))
        scale = lax.stop_gradient(1 / size)[:, None, None]
        scaled = dataclasses.replace(
            problems, source=problems.source * scale, target=problems.target * scale
        )
        found = couple_many(scaled, epsilon=epsilon, settings=settings)
        found = dataclasses.replace(found, cost=found.cost * size**2)
        return _terms(found, rows, surplus), epsilon * jnp.mean(size**2)
    found = couple_many(problems, epsilon=epsilon, settings=settings)
    return _terms(found, rows, surplus), jnp.asarray(epsilon, found.cost.dtype)


def _terms(found: Transport, rows: Int[Array, "k m"], surplus: Any) -> OtceDraws:
    # What little mass is missing at the marginal tolerance is divided out.
    joint = found.joint / found.joint.sum(axis=(1, 2), keepdims=True)
    cost = found.cost if surplus is None else found.cost - surplus
    return OtceDraws(
        task_difference=jax.vmap(entropy_given_rows)(joint),
        domain_difference=cost,
        label_joint=joint,
        target_shares=found.shares,
        target_index=rows,
        marginal_error=found.marginal_error,
        joint_change=found.joint_change,
        iterations=found.iterations,
        converged=found.converged,
    )


def exact_draws(problems: Problem, rows: Int[Array, "k m"], surplus: Any) -> OtceDraws:
    """Return the terms of every draw under the unregularised plan, on the host.

    Args:
        problems: equally many instances of both sides in every draw.
        rows: which rows of the target were drawn.
        surplus: by how much squared distances exceed the cost in the mean, or None.

    Raises:
        TypeError: under jit.
    """
    if is_traced(problems.source, problems.target):
        raise TypeError("solver='exact' runs on the host and cannot be traced by jit")
    sides = [problems.source, problems.source_labels]
    sides += [problems.target, problems.target_labels]
    found = [exact_joint(*one) for one in zip(*map(np.asarray, sides), strict=True)]
    joints, shares, costs = (
        jnp.asarray(np.stack(part), problems.source.dtype)
        for part in zip(*found, strict=True)
    )
    nothing = jnp.zeros_like(costs)
    # A permutation is no exponential: it has no potentials, and NaN would stop a caller
    # who looks for NaN (`jax.debug_nans`).
    sizes = [part.shape[:2] for part in (problems.source, problems.target)]
    potentials = [jnp.full(size, -jnp.inf, costs.dtype) for size in sizes]
    solved = Transport(
        joint=joints,
        shares=shares,
        cost=costs,
        marginal_error=nothing,
        joint_change=nothing,
        iterations=jnp.zeros(len(costs), jnp.int32),
        converged=jnp.ones(len(costs), bool),
        log_scale=potentials[0],
        log_offset=potentials[1],
    )
    return _terms(solved, rows, surplus)

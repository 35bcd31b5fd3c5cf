"""One cycle on a kernel: Sinkhorn steps, a look, and a Newton step if there is need."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from trfjax.arrays import safe_divide
from trfjax.transport.kernel import (
    Reader,
)
from trfjax.transport.newton import newton_step
from trfjax.transport.problem import Problem, Settings
from trfjax.transport.progress import Clouds, Cycle, Reading

SINKHORN_STEPS = 2  # per cycle


def take_cycle(
    cycle: Cycle, kernel: Reader, clouds: Clouds, settings: Settings
) -> Cycle:
    """Take Sinkhorn steps, measure, and take a Newton step if there is need."""
    problem = clouds.problem
    a, b = problem.source_weights, problem.target_weights

    def sinkhorn(_: Any, move: Array) -> Array:
        v = jnp.exp(move)[:, None]
        _, back = kernel.read(v, lambda t, a: safe_divide(a, t[:, 0]), a)
        return column_scale(b, back)

    move = lax.fori_loop(0, SINKHORN_STEPS, sinkhorn, cycle.move)
    now = measure(kernel, move, problem, cycle.joint)
    step, products, hard = newton_step(
        kernel,
        now.u,
        now.v,
        now.moved,
        now.sums,
        problem,
        hard=cycle.hard,
        enough=settings.tolerance,
    )
    reads = cycle.reads + SINKHORN_STEPS + 1 + products
    return Cycle(
        move=move + step,
        joint=now.joint,
        error=now.error,
        change=now.change,
        reads=reads,
        cycles=cycle.cycles + 1,
        hard=hard,
    )


def measure(kernel: Reader, move: Array, problem: Problem, joint: Array) -> Reading:
    """Read the plan of a kernel whose columns have moved.

    Args:
        kernel: which reads it.
        move: by how much beta has moved since the kernel was built.
        problem: the clouds.
        joint: of labels, at the last reading.
    """
    a, b = problem.source_weights, problem.target_weights
    v = jnp.exp(move)
    left, back = kernel.read(
        v[:, None] * problem.target_labels,
        lambda t, a: safe_divide(a, t.sum(axis=1)),
        a,
    )
    u = safe_divide(a, left.sum(axis=1))
    now = (problem.source_labels * u[:, None]).T @ left
    sums = v * back
    return Reading(
        u=u,
        v=v,
        moved=left * u[:, None],
        joint=now,
        sums=sums,
        error=jnp.abs(b - sums).sum(),
        change=jnp.abs(now - joint).sum(),
    )


def column_scale(weights: Array, sums: Array) -> Array:
    """Return the log factor that gives columns their weights; 0 for padding."""
    tiny = jnp.finfo(sums.dtype).tiny
    return jnp.where(
        weights > 0, jnp.log(jnp.maximum(weights, tiny) / jnp.maximum(sums, tiny)), 0
    )

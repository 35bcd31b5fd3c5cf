"""The plain OTT-JAX Sinkhorn solver, as a peer of ours behind the same result."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array
from ott.geometry import pointcloud
from ott.problems.linear import linear_problem
from ott.solvers.linear import sinkhorn

from trfjax.transport.problem import Problem, Settings, Solution
from trfjax.transport.sinkhorn import read_off

INNER_ITERATIONS = 10  # OTT measures its error this often


def solve_with_ott(problem: Problem, epsilon: Array, settings: Settings) -> Solution:
    """Solve one problem with OTT's default Sinkhorn; only the thresholds are ours.

    It runs at the final epsilon from the start, so on raw logits it needs very many
    iterations, and its `joint_change` is not measured (NaN).
    """
    geometry = pointcloud.PointCloud(problem.source, problem.target, epsilon=epsilon)
    linear = linear_problem.LinearProblem(
        geometry, problem.source_weights, problem.target_weights
    )
    solver = sinkhorn.Sinkhorn(
        threshold=settings.tolerance,
        inner_iterations=INNER_ITERATIONS,
        max_iterations=settings.max_iterations // INNER_ITERATIONS * INNER_ITERATIONS,
    )
    out = solver(linear)
    offset = (out.g - jnp.sum(problem.target**2, axis=1)) / epsilon
    unknown = jnp.asarray(jnp.nan, offset.dtype)
    return read_off(
        problem,
        2 / epsilon,
        offset,
        settings,
        change=unknown,
        reads=jnp.asarray(out.n_iters),
    )

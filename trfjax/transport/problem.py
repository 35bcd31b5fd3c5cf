"""A transport problem between two labelled, weighted clouds, and its solution."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from trfjax.numbers import as_real

BLOCK_ENTRIES = 4_000_000  # of the kernel formed at a time: more leave a CPU's cache


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Problem:
    """Two clouds, their weights and their labels.

    The cost of a pair is `-2 source_i . target_j` up to a term of i and a term of j,
    which change no plan; for the squared Euclidean distance the coordinates are the
    features themselves. A weight of 0 marks padding. A row of labels is one-hot, or
    the histogram of labels of a point that stands for many.
    """

    source: Any  # (n, d); every field may have a leading axis, for a batch
    target: Any  # (m, d)
    source_weights: Any  # (n,), sums to 1
    target_weights: Any  # (m,), sums to 1
    source_labels: Any  # (n, s), rows sum to 1
    target_labels: Any  # (m, t), rows sum to 1


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Solution:
    """The quantities read off the entropic plan, which is never returned itself.

    Also the form of its own cotangent, whose integer fields hold nothing.
    """

    joint: Any  # (s, t) mass between source and target labels
    shares: Any  # (m, s) mass of every target point, by source label; no derivative
    inner: Any  # <plan, source . target>
    log_scale: Any  # (n,): plan = exp(2/eps x.y + log_scale + log_offset)
    log_offset: Any  # (m,)
    marginal_error: Any  # L1, both sides together
    # L1 movement of the joint: in the last cycle, or where a sample of the points is
    # corrected (`nested`), extrapolated to all rounds that are left out.
    joint_change: Any
    iterations: Any  # reads of the kernel, a pair of products each
    converged: Any


@dataclasses.dataclass(frozen=True)
class Settings:
    """The rule by which the iteration stops, and how its work is cut up.

    Attributes:
        solver: `"fast"` is ours; `"ott"` is the plain OTT-JAX Sinkhorn.
        tolerance: L1 error of the marginals, both sides together.
        joint_tolerance: L1 movement of the label joint over one cycle.
        max_iterations: kernel reads after which a problem is given up as it stands.
        block_rows: rows of the kernel formed at a time, at most.
        dense_limit: entries of the largest kernel that is kept; a larger one is
            formed anew, block by block, at every read.
    """

    solver: Literal["fast", "ott"] = "fast"
    tolerance: float = 1e-3
    joint_tolerance: float = 1e-4
    max_iterations: int = 3000
    block_rows: int = 256
    dense_limit: int = 250_000_000

    def block(self, columns: int) -> int:
        """Return how many rows of so many columns are formed at a time."""
        return max(1, min(self.block_rows, BLOCK_ENTRIES // max(columns, 1)))

    def __post_init__(self) -> None:
        if self.solver not in ("fast", "ott"):
            raise ValueError(f"solver: {self.solver!r} is neither 'fast' nor 'ott'")
        for name in ("tolerance", "joint_tolerance", "max_iterations", "block_rows"):
            as_real(name, getattr(self, name), above=0)


def centre(
    points: Float[Array, "n d"], weights: Float[Array, " n"]
) -> Float[Array, "n d"]:
    """Subtract the weighted mean; no plan depends on where a cloud stands."""
    return points - jnp.sum(points * weights[:, None], axis=0)


def mean_cost(problem: Problem, surplus: Any = None) -> Float[Array, "*k"]:
    """Return the mean squared distance between the clouds, of one problem or a batch.

    Args:
        problem: the clouds.
        surplus: by how much squared distances exceed the cost in the mean, or None.
    """

    def moments(points: Array, weights: Array) -> tuple[Array, Array]:
        middle = jnp.einsum("...n,...nd->...d", weights, points)
        spread = jnp.sum((points - middle[..., None, :]) ** 2, axis=-1)
        return middle, jnp.sum(weights * spread, axis=-1)

    x, spread_x = moments(problem.source, problem.source_weights)
    y, spread_y = moments(problem.target, problem.target_weights)
    cost = spread_x + spread_y + jnp.sum((x - y) ** 2, axis=-1)
    cost = cost if surplus is None else cost - surplus
    return jnp.maximum(cost, jnp.finfo(cost.dtype).tiny ** 0.5)  # constant features

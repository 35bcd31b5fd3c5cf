"""From labelled clouds to the label joint and the transported distance."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from trfjax.transport.gradient import solve_with_gradient
from trfjax.transport.problem import Problem, Settings, centre

# Entries of the kernels that are worked on together: on a CPU only the smallest gain
# by it (512 x 512 alone takes 3.2 ms, three together 4.8 each, and compile longer), an
# accelerator wants as many as its memory holds.
TOGETHER_CPU = 20_000
TOGETHER_ACCELERATOR = 2_000_000_000


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Transport:
    """The quantities read off a plan of labelled clouds; a leading axis for batches."""

    joint: Float[Array, "*k s t"]  # mass between source and target labels
    shares: Float[Array, "*k m s"]  # mass of every target point, by source label
    cost: Float[Array, "*k"]  # <plan, squared distance>, without the entropy term
    marginal_error: Float[Array, "*k"]  # L1, both sides together
    joint_change: Float[Array, "*k"]  # L1 movement of the joint in the last cycle
    iterations: Int[Array, "*k"]  # reads of the kernel
    converged: Bool[Array, "*k"]
    # Of the clouds `centre` makes: plan = exp(2/eps x.y + log_scale + log_offset).
    log_scale: Float[Array, "*k n"]
    log_offset: Float[Array, "*k m"]


@functools.partial(jax.jit, static_argnames=("settings",))
def couple(
    problem: Problem, *, epsilon: Array | float, settings: Settings | None = None
) -> Transport:
    """Couple two labelled clouds by entropic optimal transport.

    Differentiable in the clouds, weights, labels and epsilon by implicit
    differentiation at the solution; `jit` and `vmap` compose with it.

    Args:
        problem: clouds of points (squared Euclidean cost), weights that sum to 1,
            rows of labels that sum to 1.
        epsilon: entropic regularisation in units of the squared distance.
        settings: when to stop; the defaults otherwise.

    Returns:
        The label joint and the cost, with the evidence that they are converged.
    """
    settings = settings or Settings()
    a, b = problem.source_weights, problem.target_weights
    x, y = centre(problem.source, a), centre(problem.target, b)
    centred = dataclasses.replace(problem, source=x, target=y)
    solution = solve_with_gradient(centred, jnp.asarray(epsilon, x.dtype), settings)
    apart = jnp.sum((a @ problem.source - b @ problem.target) ** 2)
    squares = jnp.sum(a * jnp.sum(x**2, axis=1)) + jnp.sum(b * jnp.sum(y**2, axis=1))
    cost = jnp.maximum(squares - 2 * solution.inner, 0) + apart
    return Transport(
        joint=solution.joint,
        shares=lax.stop_gradient(solution.shares),
        cost=cost,
        marginal_error=lax.stop_gradient(solution.marginal_error),
        joint_change=lax.stop_gradient(solution.joint_change),
        # Without this a scan gives them tangents, which `all()` cannot take.
        iterations=lax.stop_gradient(solution.iterations),
        converged=lax.stop_gradient(solution.converged),
        log_scale=lax.stop_gradient(solution.log_scale),
        log_offset=lax.stop_gradient(solution.log_offset),
    )


def couple_many(
    problems: Problem, *, epsilon: Array | float, settings: Settings | None = None
) -> Transport:
    """Couple a batch of equal-shaped problems, given with a leading axis.

    On a CPU large problems go one after another, so that one kernel is in memory at a
    time, and small ones in groups that fit its cache; on an accelerator as many run
    together as its memory holds. Each group stops by itself.
    """
    count, n, _ = problems.source.shape
    m = problems.target.shape[1]
    together = max(1, min(count, _together() // (n * m)))
    # A last group that is smaller would be a program of its own: it is filled up.
    rows = jnp.minimum(jnp.arange(count + -count % together), count - 1)
    found = lax.map(
        lambda problem: couple(problem, epsilon=epsilon, settings=settings),
        jax.tree.map(lambda part: part[rows], problems) if together > 1 else problems,
        batch_size=together if together > 1 else None,
    )
    return jax.tree.map(lambda part: part[:count], found)


def _together() -> int:
    on_cpu = jax.default_backend() == "cpu"
    return TOGETHER_CPU if on_cpu else TOGETHER_ACCELERATOR

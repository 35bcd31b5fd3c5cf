"""Float64 solutions to measure errors against, by a method of their own.

Newton's method on the semi-dual with the whole Hessian, factorised, in NumPy and SciPy:
nothing of the solver that is judged but the potentials it begins with. A plan of the
form `exp(2/eps x_i . y_j + alpha_i + beta_j)` whose marginals are right is the
solution, however it was found, and the marginals are those of the plan that is read.
N = 10,000 takes 1.7 GB.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from transport_draws import draw, entropy_of, joint_of, one_hot

ROUNDS = 60
ENOUGH = 1e-9  # sum of the errors of the marginals
FARTHEST = 30.0  # a potential may move in a step
ROWS = 512  # of the plan, formed at a time


class Clouds(NamedTuple):
    """A problem in float64."""

    x: np.ndarray
    y: np.ndarray
    a: np.ndarray
    b: np.ndarray
    scale: float  # 2 / epsilon


def reference(job: dict[str, Any], arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return W_T of the first draws, and the error of their marginals."""
    values, errors = [], []
    for k in range(min(len(arrays["x"]), job.get("check", 1))):
        x, ys, y, yt, a, b = draw(arrays, k)
        x, y, a, b = (part.astype(np.float64) for part in (x, y, a, b))
        a, b = a / a.sum(), b / b.sum()
        clouds = Clouds(x - a @ x, y - b @ y, a, b, 2 / job["epsilon"])
        beta = converged(clouds, start(clouds, job["epsilon"]))
        joint, columns = np.zeros(job["classes"]), np.zeros(len(b))
        error = 0.0
        for part, plan, _ in plan_rows(clouds, beta):
            joint += joint_of(plan, ys[part], yt, job)
            columns += plan.sum(axis=0)
            error += np.abs(plan.sum(axis=1) - a[part]).sum()
        errors.append(float(error + np.abs(columns - b).sum()))
        values.append(entropy_of(joint))
    return {"wt": values, "marginal_error": max(errors)}


def start(clouds: Clouds, epsilon: float) -> np.ndarray:
    """Return the potentials that our solver stops at."""
    import jax
    import jax.numpy as jnp

    from trfjax.transport.gradient import solve_with_gradient
    from trfjax.transport.problem import Problem, Settings

    labels = [one_hot(np.zeros(len(w), int), 1) for w in (clouds.a, clouds.b)]
    problem = jax.tree.map(jnp.asarray, Problem(*clouds[:4], *labels))
    found = jax.jit(solve_with_gradient, static_argnums=2)(
        problem, jnp.asarray(epsilon), Settings()
    )
    return np.asarray(found.log_offset)


def converged(clouds: Clouds, beta: np.ndarray) -> np.ndarray:
    """Return the potentials at which the marginals are right.

    The last error is not looked at: the caller reads it off the plan.
    """
    value, missing = semi_dual(clouds, beta)
    for _ in range(ROUNDS):
        error = np.abs(missing).sum()
        if error <= ENOUGH:
            break
        step = newton_step(clouds, beta, error)
        slope, length = missing @ step, 1.0
        while True:
            new, left = semi_dual(clouds, beta + length * step)
            # Near the solution the rise is lost to rounding; the error is not.
            good = (
                new - value >= 1e-4 * length * slope or np.abs(left).sum() < error / 2
            )
            if good or length < 1e-4:
                break
            length /= 2
        beta = beta + length * step
        beta = beta + np.log(clouds.b / (clouds.b - left))  # a Sinkhorn step
        value, missing = semi_dual(clouds, beta)
    return beta


def plan_rows(
    clouds: Clouds, beta: np.ndarray
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Yield rows of the plan, and the logarithms that make them sum to `a`."""
    x, y, a, _, scale = clouds
    for begin in range(0, len(x), ROWS):
        part = slice(begin, begin + ROWS)
        logs = scale * x[part] @ y.T + beta
        most = logs.max(axis=1, keepdims=True)
        plan = np.exp(logs - most)
        sums = plan.sum(axis=1, keepdims=True)
        yield part, plan * (a[part, None] / sums), (most + np.log(sums))[:, 0]


def semi_dual(clouds: Clouds, beta: np.ndarray) -> tuple[float, np.ndarray]:
    """Return its value, and what is missing from the columns: its gradient."""
    value, columns = clouds.b @ beta, np.zeros(len(beta))
    for part, plan, logs in plan_rows(clouds, beta):
        value -= clouds.a[part] @ logs
        columns += plan.sum(axis=0)
    return float(value), clouds.b - columns


def newton_step(clouds: Clouds, beta: np.ndarray, shift: float) -> np.ndarray:
    """Solve with the Hessian, made definite by a share of the weights."""
    roots = np.empty((len(clouds.x), len(clouds.y)))
    for part, plan, _ in plan_rows(clouds, beta):
        roots[part] = plan / np.sqrt(clouds.a[part, None])
    columns = np.sqrt(clouds.a) @ roots
    hessian = roots.T @ roots
    del roots
    np.negative(hessian, out=hessian)
    hessian[np.diag_indices(len(beta))] += columns + shift * clouds.b
    factor = cho_factor(hessian, overwrite_a=True, check_finite=False)
    step = cho_solve(factor, clouds.b - columns, check_finite=False)
    step -= clouds.b @ step
    return step * min(1.0, FARTHEST / np.abs(step).max())

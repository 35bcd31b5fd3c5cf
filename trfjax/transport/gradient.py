r"""The derivative of the label joint, by implicit differentiation at the solution.

With `W` the cotangent of the joint, `w` that of `<P, x.y>` and
`M = Ys W Yt' + w x.y`, the multipliers solve

$$(diag(b) - P^T diag(1/a) P) \mu = (M \circ P)^T 1 - P^T diag(1/a) (M \circ P) 1,
\qquad \lambda = diag(1/a) ((M \circ P) 1 - P \mu),$$

and the derivative with respect to the exponents is `P o (M - lambda 1' - 1 mu')`.
`lambda` and `mu` are also the derivatives with respect to the weights. Only clouds,
labels and potentials are kept from the forward pass; no unrolling.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import cast

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from trfjax.arrays import safe_divide
from trfjax.transport.conjugate import conjugate_gradients
from trfjax.transport.kernel import (
    Reader,
    join_rows,
    scaled_products,
    scaled_reader,
    split_rows,
)
from trfjax.transport.problem import Problem, Settings, Solution
from trfjax.transport.sinkhorn import solve

CONJUGATE_STEPS = 500


def solve_with_gradient(
    problem: Problem, epsilon: Array, settings: Settings
) -> Solution:
    """Solve one problem; `joint` and `inner` are differentiable in all that is real.

    The other fields have a zero derivative.
    """
    return cast(Solution, _solve(problem, epsilon, settings))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _solve(problem: Problem, epsilon: Array, settings: Settings) -> Solution:
    return _solver(settings)(problem, epsilon, settings)


def _solver(settings: Settings) -> Callable[..., Solution]:
    if settings.solver == "fast":
        return solve
    from trfjax.transport.ott import solve_with_ott  # takes seconds to import

    return solve_with_ott


def _forward(problem: Problem, epsilon: Array, settings: Settings):
    solution = _solver(settings)(problem, epsilon, settings)
    return solution, (problem, epsilon, solution.log_scale, solution.log_offset)


def _backward(settings: Settings, kept, cotangent: Solution):
    problem, epsilon, log_scale, offset = kept
    plan = _Plan(problem, 2 / epsilon, log_scale, offset, settings)
    towards, weight = cotangent.joint, cotangent.inner
    rows, columns, label_terms = plan.marginals(towards, weight)
    a, b = problem.source_weights, problem.target_weights
    read = plan.reader().read
    _, back = read(
        jnp.zeros((len(b), 1), b.dtype), lambda _, r: r, safe_divide(rows, a)
    )
    mu = _multipliers(read, a, b, columns - back)
    left, _ = read(mu[:, None], lambda t: jnp.zeros(len(t), t.dtype))
    lam = safe_divide(rows - left[:, 0], a)
    d_source, d_target, d_scale = plan.pull(towards, weight, lam, mu)
    d_problem = Problem(d_source, d_target, lam, mu, *label_terms)
    d_epsilon = jnp.asarray(-2 / epsilon**2 * d_scale, jnp.result_type(epsilon))
    return d_problem, d_epsilon


_solve.defvjp(_forward, _backward)


def _multipliers(
    read: Callable[..., tuple[Array, Array]],
    a: Float[Array, " n"],
    b: Float[Array, " m"],
    right: Float[Array, " m"],
) -> Float[Array, " m"]:
    """Solve `(diag b - P' diag(1/a) P) mu = right` in the space without constants."""
    inverse = safe_divide(jnp.ones_like(a), a)

    def centred(value: Array) -> Array:
        return jnp.where(b > 0, value - jnp.sum(b * value), 0)

    def apply(value: Array) -> Array:
        _, back = read(value[:, None], lambda t, w: w * t[:, 0], inverse)
        return b * value - back

    # The right side is orthogonal to constants up to rounding: make it exactly so.
    right = right - b * jnp.sum(right)
    tolerance = 1e-12 if b.dtype == jnp.float64 else 1e-6

    found, _ = conjugate_gradients(
        apply,
        right,
        lambda residual: centred(safe_divide(residual, b)),
        tolerance=tolerance**2,
        steps=CONJUGATE_STEPS,
    )
    return centred(found)


class _Plan:
    """The plan at the solution, formed in blocks of rows."""

    def __init__(
        self,
        problem: Problem,
        scale: Array,
        log_scale: Array,
        offset: Array,
        settings: Settings,
    ) -> None:
        self.problem, self.offset, self.settings = problem, offset, settings
        self.log_scale = log_scale
        self.block = settings.block(len(problem.target))
        self.scale = jnp.asarray(scale, problem.source.dtype)

    def rows(self, x: Array, log_scale: Array) -> Array:
        logits = scaled_products(x, self.problem.target, self.scale)
        return jnp.exp(logits + log_scale[:, None] + self.offset)

    def reader(self) -> Reader:
        problem = self.problem
        entries = len(problem.source) * len(problem.target)
        return scaled_reader(
            problem.source,
            self.log_scale,
            problem.target,
            self.scale,
            self.offset,
            kept=entries <= self.settings.dense_limit,
            block=self.block,
        )

    def parts(self) -> tuple[Array, Array, Array]:
        return (
            split_rows(self.problem.source, self.block),
            split_rows(self.log_scale, self.block, -jnp.inf),
            split_rows(self.problem.source_labels, self.block),
        )

    def marginals(self, towards: Array, weight: Array):
        """Return `(M o P) 1`, `(M o P)' 1` and the derivatives of both labels."""
        y, target_labels = self.problem.target, self.problem.target_labels

        def step(carry: tuple[Array, Array], part: tuple[Array, ...]):
            x, log_scale, labels = part
            plan = self.rows(x, log_scale)
            by_label = plan @ target_labels @ towards.T  # (b, s)
            rows = jnp.sum(labels * by_label, 1) + weight * jnp.sum(x * (plan @ y), 1)
            carry = carry[0] + plan.T @ labels, carry[1] + plan.T @ x
            return carry, (rows, by_label)

        begin = (
            jnp.zeros((len(y), towards.shape[0]), y.dtype),
            jnp.zeros_like(y),
        )
        (labels, points), (rows, by_label) = lax.scan(step, begin, self.parts())
        n = len(self.problem.source)
        d_target_labels = labels @ towards
        columns = jnp.sum(target_labels * d_target_labels, 1)
        columns = columns + weight * jnp.sum(y * points, 1)
        label_terms = join_rows(by_label, n), d_target_labels
        return join_rows(rows, n), columns, label_terms

    def pull(self, towards: Array, weight: Array, lam: Array, mu: Array):
        """Return the derivatives with respect to both clouds and the scale."""
        y, target_labels = self.problem.target, self.problem.target_labels

        def step(carry: tuple[Array, Array], part: tuple[Array, ...]):
            x, log_scale, labels, lam = part
            plan = self.rows(x, log_scale)
            products = jnp.matmul(x, y.T, precision="highest")
            gain = labels @ towards @ target_labels.T + weight * products
            pull = plan * (gain - lam[:, None] - mu)
            both = self.scale * pull + weight * plan
            carry = carry[0] + both.T @ x, carry[1] + jnp.sum(pull * products)
            return carry, both @ y

        begin = jnp.zeros_like(y), jnp.zeros((), y.dtype)
        parts = (*self.parts(), split_rows(lam, self.block))
        (d_target, d_scale), d_source = lax.scan(step, begin, parts)
        return join_rows(d_source, len(lam)), d_target, d_scale

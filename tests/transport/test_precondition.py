"""The approximate inverse of the Hessian, against matrices formed in NumPy."""

import jax.numpy as jnp
import numpy as np
import pytest

from tests.transport.reference import entropic_plan, labelled_clouds
from trfjax.transport.kernel import kept_reader, streamed_reader
from trfjax.transport.precondition import preconditioner

EPSILON = 0.2


def plan_and_labels():
    x, _, y, yt = labelled_clouds(3, 90, 70, spread=1.5)
    a, b = np.full(90, 1 / 90), np.full(70, 1 / 70)
    plan, _ = entropic_plan(x, y, a, b, EPSILON, tolerance=1e-6)
    plan *= (a / plan.sum(1))[:, None]
    return plan, np.eye(4)[yt], a  # no target point has the last label


@pytest.mark.parametrize("block", [32, 45, 500])
def test_squares_equal_the_definition(rng, block):
    x, y = rng.normal(size=(90, 3)), rng.normal(size=(70, 3))
    scale, weights, offset = rng.normal(size=90), rng.random(90), rng.normal(size=70)
    kernel = np.exp(2 * x @ y.T + scale[:, None] + offset)
    wanted = weights @ kernel**2
    x, y, scale, weights, offset, kept = (
        jnp.asarray(v, jnp.float32) for v in (x, y, scale, weights, offset, kernel)
    )
    streamed = streamed_reader(x, scale, y, jnp.float32(2), offset, block=block)
    for reader in (kept_reader(kept, block=block), streamed):
        np.testing.assert_allclose(reader.squares(weights), wanted, rtol=1e-4)


def test_it_makes_the_system_easy_where_epsilon_is_small():
    plan, labels, a = plan_and_labels()
    sums = plan.sum(0)
    hessian = np.diag(sums) - plan.T @ (plan / a[:, None])
    squares = (plan**2 / a[:, None]).sum(0)
    squares, sums32, moved, labels, a = (
        jnp.asarray(v, jnp.float32) for v in (squares, sums, plan @ labels, labels, a)
    )
    apply = preconditioner(squares, sums32, moved, labels, a)
    inverse = np.stack([np.asarray(apply(row)) for row in jnp.eye(70)])
    # Symmetric and positive, as conjugate gradients want it.
    np.testing.assert_allclose(inverse, inverse.T, rtol=1e-3, atol=1e-3)
    assert np.linalg.eigvalsh(inverse).min() > 0

    def condition(inverse):
        root = np.linalg.cholesky(inverse)
        values = np.linalg.eigvalsh(root.T @ hessian @ root)
        return values[-1] / values[1]  # the first is that of constants: 0

    assert condition(inverse) < 0.5 * condition(np.diag(1 / sums))

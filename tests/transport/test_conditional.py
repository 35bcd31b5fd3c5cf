import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from trfjax.transport.conditional import conditional_entropy, entropy


def by_hand(table):
    table = table / table.sum()
    total = 0.0
    for row in table:
        for cell in row:
            if cell > 0:
                total -= cell * np.log(cell / row.sum())
    return total


@pytest.mark.parametrize("shape", [(1, 4), (4, 1), (5, 3), (2, 30)])
def test_it_equals_the_definition(shape, x64, rng):
    table = rng.uniform(size=shape) * (rng.uniform(size=shape) > 0.3) + 1e-9
    np.testing.assert_allclose(conditional_entropy(table), by_hand(table), atol=1e-15)
    other = conditional_entropy(table, given=1)
    np.testing.assert_allclose(other, by_hand(table.T), rtol=1e-12, atol=1e-15)
    # 1e-6: a short sum of terms of one sign; next to 0 the terms themselves cancel.
    with jax.enable_x64(False):
        single = conditional_entropy(table)
    np.testing.assert_allclose(single, by_hand(table), rtol=1e-6, atol=1e-6)


def test_by_hand_and_limits(x64):
    np.testing.assert_allclose(conditional_entropy([[1, 1], [0, 2]]), np.log(2) / 2)
    assert conditional_entropy([[0, 3], [5, 0]]) == 0  # deterministic either way
    assert conditional_entropy([[1, 1]], given=1) == 0
    np.testing.assert_allclose(conditional_entropy(np.ones((3, 4))), np.log(4))
    table = jnp.array([[0.2, 0.1], [0.3, 0.4]])
    chain = conditional_entropy(table) + entropy(table.sum(1))
    np.testing.assert_allclose(chain, entropy(table.reshape(-1)), rtol=1e-14)


def test_empty_cells_and_rows_have_a_finite_gradient(x64):
    table = jnp.array([[0.5, 0.0], [0.25, 0.25], [0.0, 0.0]])
    gradient = jax.grad(conditional_entropy)(table)
    assert np.isfinite(gradient).all()
    full = jnp.array([[0.5, 0.1], [0.25, 0.25]])
    check_grads(conditional_entropy, (full,), order=1, modes=["rev"], rtol=1e-5)
    stacked = jnp.stack([full, full.T])
    both = jax.jit(jax.vmap(conditional_entropy))(stacked)
    np.testing.assert_allclose(both[1], conditional_entropy(full.T), rtol=1e-14)


@pytest.mark.parametrize(
    ("table", "settings", "message"),
    [
        ([1.0, 2.0], {}, r"joint: expected a 2-D table, got shape \(2,\)"),
        ([[1.0, -1.0]], {}, "joint: negative cells"),
        ([[0.0, 0.0]], {}, "joint: every cell is 0"),
        ([[np.nan, 0.0]], {}, "joint: 1 values are NaN or infinite"),
        ([[1.0]], {"given": 2}, "given: expected axis 0 or 1, got 2"),
    ],
)
def test_errors(table, settings, message):
    with pytest.raises(ValueError, match=message):
        conditional_entropy(table, **settings)

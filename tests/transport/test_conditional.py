import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads

from trfjax.transport.conditional import (
    conditional_entropy,
    entropy,
    entropy_given_rows,
)

few = settings(max_examples=30, deadline=None, derandomize=True, database=None)
seeds = st.integers(0, 2**32 - 1)


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


@pytest.mark.parametrize("bad", [["a", "b"], [1j, 2], [None, 1]])
def test_what_is_no_number_is_refused_by_name(bad):
    with pytest.raises(TypeError, match=r"joint: dtype .* is not a real number type"):
        conditional_entropy([bad])


def table(seed):
    """A 4 x 3 table of which some cells, and sometimes a row, are empty."""
    rng = np.random.default_rng(seed)
    cells = rng.gamma(0.5, size=(4, 3)) * (rng.random((4, 3)) < 0.7)
    cells[rng.integers(4), rng.integers(3)] += 1
    return cells


@few
@given(seeds)
def test_bounds_of_a_conditional_entropy(seed):
    with jax.enable_x64(True):
        cells = table(seed)
        found = float(conditional_entropy(cells))
        columns = float(entropy(jnp.asarray(cells.sum(axis=0))))
        assert -1e-15 <= found <= columns + 1e-12 <= np.log(3) + 2e-12
        # Chain rule: H(s, t) = H(s) + H(t | s) = H(t) + H(s | t).
        both = float(entropy(jnp.asarray(cells.reshape(-1))))
        rows = float(entropy(jnp.asarray(cells.sum(axis=1))))
        given_rows = float(conditional_entropy(cells, given=1))
        assert both == pytest.approx(rows + found, abs=1e-12)
        assert both == pytest.approx(columns + given_rows, abs=1e-12)


@few
@given(seeds, st.floats(1e-6, 1e6))
def test_what_a_conditional_entropy_does_not_depend_on(seed, factor):
    with jax.enable_x64(True):
        cells = table(seed)
        found = conditional_entropy(cells)
        rng = np.random.default_rng(seed)
        moved = factor * cells[rng.permutation(4)][:, rng.permutation(3)]
        np.testing.assert_allclose(conditional_entropy(moved), found, atol=1e-12)
        padded = np.pad(cells, ((1, 2), (0, 1)))
        np.testing.assert_allclose(conditional_entropy(padded), found, atol=1e-12)
        # A row cut into two that are alike says nothing new.
        share = rng.random()
        cut = np.vstack([share * cells[:1], (1 - share) * cells[:1], cells[1:]])
        np.testing.assert_allclose(conditional_entropy(cut), found, atol=1e-12)


@few
@given(seeds)
def test_merging_rows_loses_knowledge_and_merging_columns_asks_for_less(seed):
    with jax.enable_x64(True):
        cells = table(seed)
        found = float(conditional_entropy(cells))
        rows = np.vstack([cells[0] + cells[1], cells[2:]])
        columns = np.column_stack([cells[:, 0] + cells[:, 1], cells[:, 2]])
        assert conditional_entropy(rows) >= found - 1e-12
        assert conditional_entropy(columns) <= found + 1e-12


@few
@given(seeds, seeds, st.floats(0, 1))
def test_a_conditional_entropy_is_concave_in_the_table(first, second, share):
    with jax.enable_x64(True):
        one, two = (cells / cells.sum() for cells in (table(first), table(second)))
        mixed = float(conditional_entropy(share * one + (1 - share) * two))
        ends = [float(conditional_entropy(cells)) for cells in (one, two)]
        assert mixed >= share * ends[0] + (1 - share) * ends[1] - 1e-12


@few
@given(seeds)
def test_the_derivative_is_minus_the_logarithm_of_the_conditional(seed):
    """dH/dP(s,t) = -log P(t|s) less its mean, since the table is divided by its sum."""
    with jax.enable_x64(True):
        cells = table(seed) + 0.01
        cells = cells / cells.sum()
        slope = np.asarray(jax.grad(entropy_given_rows)(jnp.asarray(cells)))
        logs = -np.log(cells / cells.sum(axis=1, keepdims=True))
        np.testing.assert_allclose(slope, logs - np.sum(cells * logs), atol=1e-10)


@pytest.mark.parametrize(
    ("shares", "expected"),
    [([1, 1, 1, 1], np.log(4)), ([1, 0], 0), ([5, 5, 0], np.log(2)), ([0, 0], 0),
     ([3, 1], np.log(4) - 0.75 * np.log(3))],
)  # fmt: skip
def test_entropies_by_hand(shares, expected, x64):
    found = entropy(jnp.asarray(shares, float))
    np.testing.assert_allclose(found, expected, atol=1e-15)

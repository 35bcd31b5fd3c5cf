"""Partial rank correlation against the textbook's formula, and its edges."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from trfjax.statistics.partial import partial_spearman


@pytest.fixture
def columns():
    rng = np.random.default_rng(0)
    given = rng.normal(size=40)
    first = given + rng.normal(size=40)
    second = np.round(given - 0.5 * first + rng.normal(size=40), 1)  # with ties
    return first, second, given


def test_one_column_held_fixed(columns):
    first, second, given = columns
    table = np.asarray(spearmanr(np.column_stack([first, second, given])).statistic)
    r12, r13, r23 = table[0, 1], table[0, 2], table[1, 2]
    expected = (r12 - r13 * r23) / np.sqrt((1 - r13**2) * (1 - r23**2))
    found = partial_spearman(first[:, None], second, given[:, None])
    np.testing.assert_allclose(found, expected, rtol=1e-9)  # float64 throughout


def test_nothing_held_fixed_is_spearmans(columns):
    first, second, _ = columns
    found = partial_spearman(first[:, None], second, np.empty((40, 0)))
    np.testing.assert_allclose(
        found, float(spearmanr(first, second).statistic), rtol=1e-9
    )


def test_only_order_counts(columns):
    first, second, given = columns
    plain = partial_spearman(first[:, None], second, given[:, None])
    bent = partial_spearman(np.exp(first)[:, None], second**3, np.exp(given)[:, None])
    np.testing.assert_allclose(bent, plain, rtol=1e-9)


@pytest.mark.parametrize("other", ["the same", "constant"])
def test_nothing_left_is_undefined(columns, other):
    first, second, given = columns
    given = first if other == "the same" else given
    second = np.ones(40) if other == "constant" else second
    assert np.isnan(partial_spearman(first[:, None], second, given[:, None]))


def test_arrays_that_do_not_fit(columns):
    first, second, given = columns
    with pytest.raises(ValueError, match=r"shapes \(40, 1\), \(39,\)"):
        partial_spearman(first[:, None], second[1:], given[:, None])
    first[3] = np.nan
    with pytest.raises(ValueError, match="leave out NaN"):
        partial_spearman(first[:, None], second, given[:, None])

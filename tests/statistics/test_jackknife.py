from typing import Any

import numpy as np
import pytest
from scipy.stats import multivariate_t
from scipy.stats import t as student

from trfjax.statistics.jackknife import Pool, corrected, pseudo_values


def leave_one_out(function, values):
    return np.array([function(np.delete(values, i)) for i in range(len(values))])


def pool(*columns):
    """A pool of means: the pseudo-values are the values themselves."""
    columns = np.array(columns, float)
    alone = np.array([leave_one_out(np.mean, column) for column in columns])
    return Pool.of(columns.mean(axis=1), alone)


def test_the_pseudo_values_of_a_mean_are_the_values():
    values = np.array([1.0, 4, 2, 8, 5])
    found = pseudo_values(values.mean(), leave_one_out(np.mean, values))
    np.testing.assert_allclose(found, values)


def test_the_variance_loses_its_bias():
    values = np.array([1.0, 4, 2, 8, 5])
    alone = leave_one_out(np.var, values)
    assert corrected(values.var(), alone, True) == pytest.approx(values.var(ddof=1))
    assert corrected(values.var(), alone, False) == values.var()
    assert corrected(2.0, np.array([np.nan, 3.0]), True) == 2.0  # one says nothing


def test_a_difference_of_means_is_the_paired_t_interval():
    a, b = np.array([1.0, 4, 2, 8]), np.array([0.0, 2, 3, 5])
    found, apart = pool(a, b).difference(0, 1, 0.9), a - b
    # 90 % is drawn at 94 %: 0.97 on either side.
    reach = student.ppf(0.97, 3) * apart.std(ddof=1) / 2
    np.testing.assert_allclose(
        [found.value, found.low, found.high],
        [apart.mean(), apart.mean() - reach, apart.mean() + reach],
    )
    assert found.count == 4


def test_images_that_a_score_is_not_defined_without_are_not_counted():
    found = Pool.of(np.array([1.0, 2.0]), np.array([[1, 2, np.nan], [1.0, 3, 4]]))
    assert found.images == 2


def test_two_sources_share_as_the_t_distribution_says():
    a, b = np.array([1.0, 4, 2, 8, 3]), np.array([0.0, 2, 3, 5, 4])
    apart = a - b
    expected = student.cdf(apart.mean() / (apart.std(ddof=1) / np.sqrt(5)), 4)
    found = pool(a, b).probability_first()
    np.testing.assert_allclose(found, [expected, 1 - expected], atol=0.01)  # 20,000


def test_three_sources_share_as_the_multivariate_t_says():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(3, 8)) + np.array([[0.6], [0.3], [0.0]])
    values += values.mean(axis=0)
    joint: Any = multivariate_t
    drawn = joint.rvs(
        values.mean(axis=1), np.cov(values) / 8, df=7, size=20_000, random_state=1
    )
    expected = np.bincount(drawn.argmax(axis=1), minlength=3) / 20_000
    order = np.argsort(-values.mean(axis=1))
    assert (np.diff(expected[order]) < 0).all()  # so that nothing is shared
    np.testing.assert_allclose(pool(*values).probability_first(), expected, atol=0.015)


def test_ties_share():
    same = [1.0, 4, 2, 8]
    np.testing.assert_allclose(
        pool(same, same, np.array(same) - 50).probability_first(), [0.5, 0.5, 0]
    )


def test_who_is_less_sure_never_passes_a_higher_estimate():
    """The second and third win oftener than the first, being anywhere; they share."""
    wild = np.array([-9.0, 9, 9, -9, -9, 9, 9, -9])
    other = np.array([-9.0, -9, 9, 9, -9, -9, 9, 9])
    found = pool(np.full(8, 0.02), wild + 0.01, other).probability_first()
    assert (np.diff(found) <= 0).all()
    assert found.sum() == pytest.approx(1)
    assert found[0] == pytest.approx(1 / 3, abs=0.1)

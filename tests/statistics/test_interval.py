import numpy as np
import pytest
from scipy.stats import norm

from trfjax.statistics.interval import (
    IntervalMethod,
    image_interval,
    mean_interval,
    paired_interval,
)
from trfjax.statistics.resamples import Resamples

GRID = np.linspace(0, 1, 1001)


def test_percentiles_are_quantiles():
    found = image_interval(0.3, GRID, level=0.8, method="percentile")
    np.testing.assert_allclose(found.ends, (0.1, 0.9))


def test_without_bias_and_skewness_bca_is_the_percentile_interval():
    left_out = [1.0, 2, 3, 4, 5]  # symmetric
    # Student's 95 % quantile of 4 degrees of freedom, from a table, times root 5/4.
    end = norm.cdf(2.1318 * np.sqrt(1.25))
    methods: tuple[IntervalMethod, ...] = ("bca", "percentile")
    for method in methods:
        found = image_interval(0.5, GRID, left_out, method=method)
        np.testing.assert_allclose(found.ends, (1 - end, end), atol=1e-5)


def test_the_bias_moves_both_ends_by_twice_its_quantile():
    # 30 % of the replicates lie below the score.
    z = norm.ppf(0.3)
    expected = norm.cdf(2 * z + norm.ppf([0.05, 0.95]))
    values = np.arange(1, 1000) / 1000 - 5e-4
    found = image_interval(0.3, values, method="bca")
    np.testing.assert_allclose(found.ends, expected, atol=3e-3)


def test_the_jackknife_interval_of_a_mean_is_students():
    values = np.array([1.0, 4, 2, 8, 5])
    left_out = (values.sum() - values) / 4
    reach = 2.1318 * values.std(ddof=1) / np.sqrt(5)  # Student, 4 degrees of freedom
    expected = values.mean() - reach, values.mean() + reach
    found = image_interval(values.mean(), GRID, left_out)
    np.testing.assert_allclose(found.ends, expected, rtol=1e-4)


def test_the_jackknife_takes_the_bias_away():
    # The variance with divisor n is too small by its n-th part; corrected, the middle
    # of the interval is the variance with divisor n - 1.
    values = np.array([1.0, 4, 2, 8, 5])
    left_out = [np.delete(values, i).var() for i in range(5)]
    low, high = image_interval(values.var(), GRID, left_out).ends
    assert (low + high) / 2 == pytest.approx(values.var(ddof=1))
    low, high = image_interval(values.var(), GRID, left_out, smooth=False).ends
    assert (low + high) / 2 == pytest.approx(values.var())


def test_the_acceleration_is_that_of_the_formula():
    left_out = np.array([0.0, 0, 0, 10])
    apart = left_out.mean() - left_out
    a = (apart**3).sum() / 6 / (apart**2).sum() ** 1.5
    z = np.array([-2.3534, 2.3534]) * np.sqrt(4 / 3)  # Student, 3 degrees
    expected = norm.cdf(z / (1 - a * z))
    found = image_interval(0.5, GRID, left_out, method="bca")
    np.testing.assert_allclose(found.ends, expected, atol=1e-5)


def test_the_mean_of_a_sample_is_covered():
    """90 % intervals of the mean of 20 numbers."""
    rng = np.random.default_rng(0)
    hits: dict[IntervalMethod, int] = {"jackknife": 0, "bca": 0, "percentile": 0}
    for seed in range(200):
        values = rng.uniform(size=20)
        drawn = Resamples.draw(20, 300, seed=seed)
        means = drawn.rows @ values / drawn.rows.sum(axis=1)
        split = drawn.split(means)
        for method in hits:
            low, high = image_interval(
                values.mean(), split["replicates"], split["left_out"], method=method
            ).ends
            hits[method] += low <= 0.5 <= high
    # 180 are expected, with a binomial error of 4.
    assert all(171 <= count <= 190 for count in hits.values()), hits


def test_undefined_replicates_are_left_out():
    values = np.concatenate([GRID, np.full(50, np.nan)])
    np.testing.assert_allclose(image_interval(0.5, values).ends, (0.05, 0.95))
    assert np.isnan(image_interval(0.5, []).ends).all()
    assert np.isnan(image_interval(np.nan, GRID).ends).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [({"level": 1.0}, "level: 1"), ({"method": "x"}, "method: 'x'")],
)
def test_bad_settings_are_refused(change, message):
    import inspect

    with pytest.raises(ValueError, match=message):
        inspect.unwrap(image_interval)(0.5, GRID, **change)


def test_the_interval_is_students():
    found = mean_interval(np.array([1.0, 2, 3, 4, 5]))
    reach = 2.7764451 * np.sqrt(2.5) / np.sqrt(5)  # t of 4 degrees of freedom
    assert found.value == 3 and found.count == 5
    np.testing.assert_allclose([found.low, found.high], [3 - reach, 3 + reach])
    assert found.above_zero and str(found) == "3.00 [1.04, 4.96]"
    alone = mean_interval(np.array([2.0]))
    assert alone.value == 2 and np.isnan(alone.low) and not alone.above_zero


def test_the_interval_covers_as_often_as_it_says(rng):
    means = rng.normal(size=(2000, 8))
    covers = [i.low <= 0 <= i.high for i in map(mean_interval, means)]
    assert abs(np.mean(covers) - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 2000)


def test_paired_differences_forget_what_is_common(rng):
    hard = 10 * rng.normal(size=50)
    gain = paired_interval(hard + 1 + 0.1 * rng.normal(size=50), hard)
    assert 0.9 < gain.low < gain.high < 1.1
    with pytest.raises(ValueError, match="not the same episodes"):
        paired_interval(hard, hard[1:])
    for wrong in (np.array([]), np.array([1.0, np.nan])):
        with pytest.raises(ValueError, match="finite numbers, one per episode"):
            mean_interval(wrong)

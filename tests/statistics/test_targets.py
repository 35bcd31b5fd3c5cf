import numpy as np
import pytest

from trfjax.statistics.correlation import spearman
from trfjax.statistics.targets import by_target, over_models, over_targets


def pools(rng, targets=12, sources=10, signal=1.0):
    truth = rng.normal(size=(targets, sources))
    return signal * truth + rng.normal(size=truth.shape), truth


def test_a_measure_is_taken_over_the_sources_there_are(rng):
    scores, truth = pools(rng)
    scores[0, :3], truth[1, 4] = np.nan, np.nan
    scores[2] = np.nan
    found = by_target(spearman, scores, truth)
    assert found[0] == spearman(scores[0, 3:], truth[0, 3:])
    rest = np.arange(10) != 4
    assert found[1] == spearman(scores[1, rest], truth[1, rest])
    assert np.isnan(found[2])


def test_the_mean_over_targets_leaves_out_where_it_is_undefined():
    found = over_targets(np.array([0.2, np.nan, 0.4]))
    assert found.value == pytest.approx(0.3) and found.count == 2
    assert 0.2 <= found.low <= found.value <= found.high <= 0.4
    one = over_targets(np.array([0.7]))
    assert one.value == 0.7 and np.isnan(one.low)
    assert np.isnan(over_targets(np.array([np.nan])).value)
    with pytest.raises(ValueError, match=r"level: 1\.5"):
        over_targets(np.array([0.1, 0.2]), level=1.5)


def test_intervals_hold_the_mean_of_all_targets(rng):
    """A bootstrap over 12 targets holds it a little less often than it says."""
    held = 0
    for _ in range(400):
        found = over_targets(rng.normal(0.5, 0.3, 12), resamples=300)
        held += found.low <= 0.5 <= found.high
    # Student's would be .9; that of percentiles over 12 draws is about .86.
    assert 0.80 < held / 400 < 0.92


def test_other_sources_are_the_same_on_every_target(rng):
    """One source that is good and predicted so on all targets moves all of them."""
    scores, truth = pools(rng, signal=2.0)
    found = over_models(spearman, scores, truth, resamples=100)
    assert found.value == pytest.approx(np.mean(by_target(spearman, scores, truth)))
    assert found.low < found.value and found.count == 10
    expected = []
    draws = np.random.default_rng([0, 0x50C5]).integers(10, size=(100, 10))
    for i in draws:
        expected.append(np.mean([spearman(s[i], a[i]) for s, a in
                                 zip(scores, truth, strict=True)]))  # fmt: skip
    np.testing.assert_allclose(found.ends, np.quantile(expected, [0.05, 0.95]))


def test_a_pool_of_two_has_hardly_an_interval():
    found = over_models(spearman, np.array([[1.0, 2.0]]), np.array([[1.0, 2.0]]))
    assert found.value == pytest.approx(1) and np.isnan(found.low)

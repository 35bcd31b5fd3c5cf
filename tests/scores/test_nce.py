import jax
import numpy as np
import pytest

from trfjax.scores.nce import nce, pixel_nce, prediction_counts
from trfjax.transport.conditional import conditional_entropy


def nce_by_hand(source, target):
    total = 0.0
    for z in np.unique(source):
        for y in np.unique(target):
            both = np.mean((source == z) & (target == y))
            if both > 0:
                total += both * np.log(both / np.mean(source == z))
    return total


@pytest.mark.parametrize(("n", "z", "y"), [(8, 3, 2), (200, 10, 5), (40, 2, 7)])
def test_nce_equals_the_definition(n, z, y, x64, rng):
    source, target = rng.integers(z, size=n), rng.integers(y, size=n)
    expected = nce_by_hand(source, target)
    got = nce(source, target, num_classes=y, num_source_classes=z)
    np.testing.assert_allclose(got, expected, rtol=1e-12)
    np.testing.assert_allclose(nce(7 * source - 3, -target), expected, rtol=1e-12)


def test_nce_in_float32(rng):
    # 1e-6: a sum of a few dozen terms of one sign, each good to some 1e-7.
    source, target = rng.integers(10, size=30_000), rng.integers(5, size=30_000)
    np.testing.assert_allclose(
        nce(source, target), nce_by_hand(source, target), rtol=1e-6
    )


def test_by_hand_and_limits(x64, rng):
    # Source class 0 holds targets {0, 1}, source class 1 only 1: half of it log 2.
    np.testing.assert_allclose(nce([0, 0, 1, 1], [0, 1, 1, 1]), -np.log(2) / 2)
    target = rng.integers(3, size=30)
    share = np.bincount(target) / 30
    np.testing.assert_allclose(nce(target, target), 0, atol=1e-15)
    np.testing.assert_allclose(nce(0 * target, target), np.sum(share * np.log(share)))
    assert nce(target, 0 * target) == 0


def test_it_is_the_entropy_of_the_diagonal_coupling(x64, rng):
    source, target = rng.integers(4, size=30), rng.integers(3, size=30)
    table = np.zeros((4, 3))
    np.add.at(table, (source, target), 1)
    got = nce(source, target)
    np.testing.assert_allclose(got, -conditional_entropy(table), rtol=1e-13)


def test_both_sides_are_ignored(x64, rng):
    source, target = rng.integers(4, size=30), rng.integers(3, size=30)
    kept = np.ones(30, bool)
    kept[[3, 5, 8]] = False
    expected = nce_by_hand(source[kept], target[kept])
    source[3], target[5], source[8], target[8] = 255, 255, 255, 255
    np.testing.assert_allclose(nce(source, target), expected, rtol=1e-13)
    source[source == 255], target[target == 255] = -1, -1
    np.testing.assert_allclose(nce(source, target, ignore=-1), expected, rtol=1e-13)


def test_weights_go_through_vmap(x64, rng):
    source, target = rng.integers(4, size=12), rng.integers(3, size=12)
    weights = rng.integers(0, 3, size=(4, 12)).astype(float)
    counts = {"num_classes": 3, "num_source_classes": 4}
    found = jax.vmap(lambda w: nce(source, target, weights=w, **counts))(weights)
    for weight, got in zip(weights.astype(int), found, strict=True):
        rows = np.repeat(np.arange(12), weight)
        expected = nce_by_hand(source[rows], target[rows])
        np.testing.assert_allclose(got, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("source", "settings", "message"),
    [
        ([0, 1, 1], {}, r"source_labels: shape \(3,\) differs from target_labels"),
        ([0, 4], {"num_source_classes": 4}, r"value 4 .*\(num_source_classes=4"),
        ([255, 255], {}, "source_labels: nothing is left"),
        ([0, 1], {"num_source_classes": 0}, "num_source_classes: 0 is less than 1"),
        ([0, 1], {"num_classes": 1}, r"target_labels: value 1 .*\(num_classes=1"),
    ],
)
def test_errors(source, settings, message):
    with pytest.raises(ValueError, match=message):
        nce(source, [0, 1], **settings)


def test_the_mean_of_the_pixels_is_nce(rng):
    source, target = rng.integers(4, size=50), rng.integers(3, size=50)
    counts = prediction_counts(source, target, num_classes=4, num_source_classes=6)
    found = pixel_nce(counts, source, target)
    for z, y, value in zip(source, target, found, strict=True):
        share = np.mean(target[source == z] == y)
        assert value == pytest.approx(np.log(share), rel=1e-12)
    np.testing.assert_allclose(found.mean(), nce(source, target), rtol=1e-5)

import numpy as np

from trfjax.atoms.groups import renumbered, weighted_means, weighted_sums


def test_numbers_without_gaps():
    index = np.array([7, 2, 2, 9, 7])
    used, place = renumbered(index, 11)
    expected = np.unique(index, return_inverse=True)
    np.testing.assert_array_equal(used, expected[0])
    np.testing.assert_array_equal(place, expected[1])


def test_sums_and_means_of_groups(rng):
    points = rng.normal(size=(60, 3)).astype(np.float32)
    weights, index = rng.random(60), rng.integers(0, 4, 60)
    sums = np.zeros((4, 3))
    for row, weight, group in zip(points.astype(float), weights, index, strict=True):
        sums[group] += weight * row
    found = weighted_sums(points, weights, index, 4)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, sums, rtol=1e-12)
    mass = np.array([weights[index == group].sum() for group in range(4)])
    means = weighted_means(points, weights, index, 4)
    np.testing.assert_allclose(means, sums / mass[:, None], rtol=1e-6)


def test_a_group_of_nothing_sums_to_nothing():
    found = weighted_sums(np.zeros((0, 2)), np.zeros(0), np.zeros(0, int), 3)
    np.testing.assert_array_equal(found, np.zeros((3, 2)))

import jax.numpy as jnp
import numpy as np
import pytest

from trfjax.atoms.kmeans import BLOCK, _lloyd, in_blocks, kmeans, nearest


def seeds(count, seed=0):
    return np.random.default_rng(seed).random((count, 3), np.float32)


@pytest.mark.parametrize("n", [1, 7, 2048, 5000])
def test_the_nearest_centre_is_that_of_all_distances(n):
    rng = np.random.default_rng(n)
    points = rng.normal(size=(n, 3)).astype(np.float32)
    centres = rng.normal(size=(11, 3)).astype(np.float32)
    index, distance = nearest(points, centres)
    far = ((points[:, None].astype(float) - centres) ** 2).sum(-1)
    # A tie within rounding may go either way.
    np.testing.assert_allclose(far[np.arange(n), index], far.min(1), atol=1e-5)
    np.testing.assert_allclose(distance, far.min(1), atol=1e-5)


def test_of_equal_centres_the_first_is_taken():
    centres = np.array([[5.0], [0], [0]], np.float32)
    assert nearest(np.zeros((4, 1), np.float32), centres)[0].tolist() == [1] * 4


def test_separate_groups_are_found():
    rng = np.random.default_rng(0)
    places = np.array([[0, 0], [10, 0], [0, 10], [10, 10]], np.float32)
    points = (places[rng.integers(0, 4, 400)] + 0.1 * rng.normal(size=(400, 2))).astype(
        np.float32
    )
    centres = kmeans(points, np.ones(400, "f4"), seeds(4), steps=5)
    far = ((places[:, None] - np.asarray(centres)) ** 2).sum(-1)
    assert sorted(far.argmin(1).tolist()) == [0, 1, 2, 3] and far.min(1).max() < 0.01


def test_weights_move_the_centre():
    points = np.array([[0.0], [1.0]], np.float32)
    weights = np.array([3.0, 1.0], np.float32)
    centre = kmeans(points, weights, seeds(1), steps=1)
    np.testing.assert_allclose(centre, [[0.25]], atol=1e-6)


def test_points_of_weight_0_are_never_seeds():
    points = np.array([[0.0], [1.0], [1000.0]], np.float32)
    weights = np.array([1.0, 1.0, 0.0], np.float32)
    for seed in range(5):
        centres = np.asarray(kmeans(points, weights, seeds(2, seed), steps=0))
        assert sorted(centres[:, 0].tolist()) == [0, 1]


def test_an_empty_centre_moves_to_the_worst_served_point():
    # Two places for three centres, then a third place that one seed cannot have seen.
    points = np.array([[0.0], [1.0], [9.0]], np.float32)
    centres = np.array([[0.0], [1.0], [100.0]], np.float32)
    blocks, weights = in_blocks(jnp.asarray(points)), in_blocks(jnp.ones(3))
    moved = _lloyd(blocks, weights, jnp.asarray(centres), 1)
    # 0 | 1 and 9 | nothing: the last goes to 9, 8 away from its centre.
    np.testing.assert_allclose(np.asarray(moved)[:, 0], [0, 5, 9])


def test_fewer_places_than_centres():
    points = np.repeat(np.array([[1.0, 2], [3, 4]], np.float32), 5, axis=0)
    centres = kmeans(points, np.ones(10, "f4"), seeds(6), steps=3)
    assert {tuple(c) for c in np.asarray(centres).tolist()} == {(1, 2), (3, 4)}


def test_what_is_not_used_changes_nothing():
    rng = np.random.default_rng(3)
    points = rng.normal(size=(3 * BLOCK, 2)).astype(np.float32)
    weights = rng.random(3 * BLOCK).astype(np.float32)
    used = BLOCK + 7
    weights[used:] = 0
    whole = kmeans(points, weights, seeds(5), steps=3)
    part = kmeans(points, weights, seeds(5), steps=3, used=np.int32(used))
    np.testing.assert_array_equal(whole, part)
    index, distance = nearest(points, whole, used=np.int32(used))
    expected = nearest(points, whole)
    np.testing.assert_array_equal(index[:used], expected[0][:used])
    np.testing.assert_array_equal(distance[:used], expected[1][:used])


def test_seeds_are_drawn_in_proportion_to_mass_and_distance():
    # Three places at distances 0, 1 and 2 of the first: squared, masses 1 : 4.
    points = np.array([[0.0], [1.0], [2.0]], np.float32)
    weights = np.array([1e6, 1.0, 1.0], np.float32)
    drawn = np.random.default_rng(0).random((400, 2, 3)).astype(np.float32)
    second = [float(kmeans(points, weights, u, steps=0)[1, 0]) for u in drawn]
    assert set(second) == {1.0, 2.0}
    assert abs(np.mean(np.array(second) == 2) - 0.8) < 4 * np.sqrt(0.16 / 400)

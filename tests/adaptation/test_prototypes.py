import jax
import jax.numpy as jnp
import numpy as np
import pytest

from trfjax.adaptation.prototypes import (
    Prototypes,
    centroids,
    labels_at,
    moved,
    nearness,
)

K, F = 3, 4


@pytest.fixture
def case(x64, rng):
    means = jnp.asarray(rng.normal(size=(K, F)))
    return jnp.asarray(rng.normal(size=(2, 5, F))), Prototypes(means, jnp.ones(K, bool))


def test_nearness_is_the_softmax_of_distances(case):
    features, prototypes = case
    found = np.exp(nearness(features, prototypes, temperature=0.7))
    for i in np.ndindex(2, 5):
        d = [
            np.linalg.norm(features[i] - mean) for mean in np.asarray(prototypes.means)
        ]
        expected = np.exp(-np.array(d) / 0.7)
        np.testing.assert_allclose(found[i], expected / expected.sum(), rtol=1e-12)
        assert found[i].argmax() == np.argmin(d)
    shift = jnp.arange(F)
    other = Prototypes(prototypes.means + shift, prototypes.present)
    again = nearness(features + shift, other, temperature=0.7)
    np.testing.assert_allclose(np.exp(again), found, rtol=1e-10)


def test_limits_of_the_temperature_and_missing_classes(case):
    features, prototypes = case
    cold = np.exp(nearness(features, prototypes, temperature=1e-4))
    assert (np.sort(cold)[..., -1] > 1 - 1e-9).all()
    hot = np.exp(nearness(features, prototypes, temperature=1e8))
    np.testing.assert_allclose(hot, 1 / K, rtol=1e-6)
    some = Prototypes(prototypes.means, jnp.array([True, False, True]))
    part = np.exp(nearness(features, some, temperature=1.0))
    assert (part[..., 1] == 0).all()
    np.testing.assert_allclose(part.sum(axis=-1), 1, rtol=1e-12)
    none = Prototypes(prototypes.means, jnp.zeros(K, bool))
    flat = np.exp(nearness(features, none, temperature=1.0))
    np.testing.assert_allclose(flat, 1 / K, rtol=1e-12)


def test_gradients_reach_features_only_and_are_finite(case):
    _, prototypes = case

    def score(features, means):
        both = Prototypes(means, prototypes.present)
        return nearness(features, both, temperature=1.0)[0, 1]

    on_top = prototypes.means[:1]  # a feature that is a prototype
    slopes = jax.grad(score, argnums=(0, 1))(on_top, prototypes.means)
    assert np.isfinite(slopes[0]).all() and (slopes[0] != 0).any()
    assert (slopes[1] == 0).all()


def test_prototypes_move_image_by_image(case, rng):
    _, prototypes = case
    features = rng.normal(size=(2, 30, F))
    labels = np.full((2, 30), -1)
    labels[0, :12], labels[0, 12:21] = 0, 1  # 9 pixels of class 1: too few
    labels[1, :10] = 0
    found = moved(prototypes, jnp.asarray(features), jnp.asarray(labels), momentum=0.75)
    expected = np.array(prototypes.means[0])
    for image, count in ((0, 12), (1, 10)):
        expected = 0.75 * expected + 0.25 * features[image, :count].mean(axis=0)
    np.testing.assert_allclose(found.means[0], expected, rtol=1e-12)
    np.testing.assert_array_equal(found.means[1:], prototypes.means[1:])  # bit for bit
    same = moved(prototypes, jnp.asarray(features), jnp.asarray(labels), momentum=1.0)
    np.testing.assert_array_equal(same.means, prototypes.means)
    last = moved(prototypes, jnp.asarray(features), jnp.asarray(labels), momentum=0.0)
    np.testing.assert_allclose(last.means[0], features[1, :10].mean(0), rtol=1e-12)
    fresh = Prototypes(prototypes.means, jnp.zeros(K, bool))
    new = moved(fresh, jnp.asarray(features[:1]), jnp.asarray(labels[:1]), momentum=0.9)
    np.testing.assert_allclose(new.means[0], features[0, :12].mean(0), rtol=1e-12)
    assert new.present.tolist() == [True, False, False]


def test_centroids_by_hand(x64):
    features = jnp.array([[1.0, 0], [3, 2], [9, 9]])
    means, counts = centroids(features, jnp.array([1, 1, 255]), 2)
    np.testing.assert_array_equal(means, [[0, 0], [2, 1]])
    np.testing.assert_array_equal(counts, [0, 2])


def test_labels_on_a_smaller_grid_are_a_strided_slice(rng):
    labels = jnp.asarray(rng.integers(0, 9, (2, 8, 12)))
    found = labels_at(labels, jnp.zeros((2, 2, 3, 5)))
    np.testing.assert_array_equal(found, labels[:, ::4, ::4].reshape(2, -1))

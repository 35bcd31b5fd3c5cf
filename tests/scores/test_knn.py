import inspect

import jax
import numpy as np
import pytest

from tests.scores.made import made_up
from trfjax.errors import ScoreWarning
from trfjax.scores.knn import knn, knn_tally


def votes_by_hand(features, labels, images, k, cosine=False):
    """Sort all instances of other images for every instance."""
    votes = np.full(len(labels), -1)
    for i, row in enumerate(features):
        if cosine:
            lengths = np.linalg.norm(features, axis=1) * np.linalg.norm(row)
            distance = -features @ row / lengths
        else:
            distance = np.sum((features - row) ** 2, axis=1)
        elsewhere = np.flatnonzero(images != images[i])
        nearest = labels[elsewhere[np.argsort(distance[elsewhere])][:k]]
        if not len(nearest):
            continue
        counts = np.bincount(nearest)
        tied = np.flatnonzero(counts == counts.max())
        for c in nearest:  # the nearest of those with as many votes
            if c in tied:
                votes[i] = c
                break
    return votes


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("k", [1, 3, 7])
def test_equals_the_definition(k, cosine, rng):
    features, labels = made_up(rng, 120, 4, 4)
    images = rng.integers(6, size=120)
    votes = votes_by_hand(features, labels, images, k, cosine)
    got = knn(features, labels, images=10 * images, neighbours=k, cosine=cosine)
    if k < 4:  # a tie of three or more ranks is settled by all of them, not the first
        np.testing.assert_allclose(got, np.mean(votes == labels), atol=1e-6)
    assert abs(got - np.mean(votes == labels)) < 0.03
    balanced = knn(
        features, labels, images=images, neighbours=k, cosine=cosine, measure="balanced"
    )
    expected = np.mean([np.mean(votes[labels == c] == c) for c in range(4)])
    assert abs(balanced - expected) < 0.03


def test_neighbours_in_the_same_image_do_not_vote(rng):
    """Every row twice in its image: a copy of itself would be its nearest."""
    labels = np.repeat(rng.integers(2, size=20), 2)
    features = np.repeat(rng.normal(size=(20, 3)), 2, axis=0)
    images = np.repeat(np.arange(20), 2)
    assert knn(features, labels, neighbours=1) == 1
    assert knn(features, labels, images=images, neighbours=1) < 0.9


def test_duplicates_are_excluded_by_place_not_by_distance():
    """Published code drops the first of the sorted list, which may be another."""
    features, labels = np.zeros((3, 2)), np.array([0, 1, 1])
    # Each sees the two others: 1, 1 for the first; 0, 1 and 0, 1 for the rest.
    tally = knn_tally(features, labels, neighbours=2)
    np.testing.assert_array_equal(tally.hits.sum(axis=0)[0], 0)


def test_weights_are_multiplicities(rng):
    features, labels = made_up(rng, 40, 3, 3)
    images = rng.integers(5, size=40)
    counts = rng.integers(0, 3, size=40)
    got = knn(features, labels, images=images, weights=counts)
    again = [np.repeat(part, counts, axis=0) for part in (features, labels, images)]
    np.testing.assert_allclose(got, knn(again[0], again[1], images=again[2]), atol=1e-6)


def test_at_most_so_many_instances(rng):
    features, labels = made_up(rng, 100, 3, 3)
    index = np.linspace(0, 99, 30).astype(int)
    assert knn(features, labels, num_samples=30) == knn(features[index], labels[index])


def test_limits(rng):
    labels = np.arange(30) % 3
    assert knn(np.eye(3)[labels], labels) == 1
    with pytest.warns(ScoreWarning, match="no instance has a neighbour"):
        assert np.isnan(knn(np.eye(3)[labels], labels, images=np.zeros(30, int)))


def test_errors(rng):
    features, labels = made_up(rng)
    with pytest.raises(ValueError, match="neighbours: 0 is less than 1"):
        knn(features, labels, neighbours=0)
    with pytest.raises(ValueError, match="num_samples: 1 is less than 2"):
        knn(features, labels, num_samples=1)
    with pytest.raises(ValueError, match="'log_likelihood' is not defined"):
        knn(features, labels, measure="log_likelihood")
    with pytest.raises(ValueError, match="measure: 'f1' is none of"):
        inspect.unwrap(knn)(features, labels, measure="f1")
    with pytest.raises(ValueError, match="not defined under jit"):
        jax.jit(lambda x: knn(x, labels))(features)

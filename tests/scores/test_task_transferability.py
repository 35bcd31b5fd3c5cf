import numpy as np
import pytest

from tests.scores.made import made_up
from trfjax.scores.hscore import h_score
from trfjax.scores.max_h_score import max_h_score
from trfjax.scores.task_transferability import task_transferability


def test_ratio_and_terms(x64, rng):
    features, labels = made_up(rng)
    better = features + 3 * np.eye(4)[labels]
    found = task_transferability(features, labels, target_features=better)
    np.testing.assert_allclose(found.h_score, h_score(features, labels))
    np.testing.assert_allclose(found.maximum, h_score(better, labels))
    np.testing.assert_allclose(found.score, found.h_score / found.maximum)
    assert 0 < found.score < 1


def test_features_that_are_ids(x64, rng):
    """One-hot features of an id reach the largest H-score of the id."""
    y = rng.integers(3, size=200)
    x = np.where(rng.uniform(size=200) < 0.6, y, rng.integers(4, size=200))
    found = task_transferability(np.eye(4)[x], y, maximum=max_h_score(x, y))
    np.testing.assert_allclose(found.score, 1, rtol=1e-9)


def test_single_class(rng):
    features, labels = made_up(rng)
    assert np.isnan(task_transferability(features, 0 * labels, maximum=0.0).score)


def test_one_maximum(rng):
    features, labels = made_up(rng)
    for given in ({}, {"maximum": 1.0, "target_features": features}):
        with pytest.raises(ValueError, match="give one of them"):
            task_transferability(features, labels, **given)

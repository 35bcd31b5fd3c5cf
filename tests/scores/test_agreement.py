import numpy as np
import pytest

from trfjax.scores.agreement import agreement
from trfjax.scores.ensemble_agreement import ensemble_agreement


def test_by_hand():
    given = np.array([0, 1, 1, 2])
    changed = np.array([[0, 1, 1, 2], [0, 0, 1, 1]])
    np.testing.assert_allclose(agreement(given, changed), (1 + 0.5) / 2)
    # Foreground of the second: places 1, 2, 3, of which one is kept.
    got = agreement(given, changed, background=0)
    np.testing.assert_allclose(got, (1 + 1 / 3) / 2, rtol=1e-6)
    assert agreement(given, given[None]) == 1


def test_places_that_left_the_image_do_not_count():
    given, changed = np.array([0, 1, 1, 2]), np.array([[-1, 1, 0, -1]])
    np.testing.assert_allclose(agreement(given, changed), 0.5)
    np.testing.assert_allclose(agreement(given, changed, weights=[9, 3, 1, 9]), 0.75)
    assert np.isnan(agreement(given, -np.ones((1, 4), int)))


def test_maps(rng):
    given, changed = rng.integers(3, size=(2, 4, 5)), rng.integers(3, size=(3, 2, 4, 5))
    expected = np.mean([np.mean(given == one) for one in changed])
    np.testing.assert_allclose(agreement(given, changed), expected, rtol=1e-6)


def test_shapes_must_fit():
    with pytest.raises(ValueError, match=r"perturbed: shape \(4,\) does not fit"):
        agreement(np.zeros(4, int), np.zeros(4, int))


def test_ensemble_by_hand(rng):
    candidates = rng.dirichlet(np.ones(3), size=(4, 20))
    mean = candidates.mean(axis=0)
    for probs in candidates:
        expected = np.mean(probs.argmax(axis=1) == mean.argmax(axis=1))
        np.testing.assert_allclose(ensemble_agreement(probs, mean), expected, rtol=1e-6)
    assert ensemble_agreement(mean, mean) == 1
    with pytest.raises(ValueError, match=r"ensemble_probs: \(19, 3\) differs"):
        ensemble_agreement(mean, mean[1:])

import jax
import numpy as np
import pytest
from jax.test_util import check_grads

from tests.scores.made import made_up
from trfjax.scores.hscore import h_score
from trfjax.scores.hscore_regression import h_score_regression


def h_by_hand(features, targets, weights=None):
    share = np.ones(len(features)) if weights is None else weights
    share = share / share.sum()
    f, y = features - share @ features, targets - share @ targets
    ff, fy, yy = ((a * share[:, None]).T @ b for a, b in ((f, f), (f, y), (y, y)))
    inverse = [np.linalg.pinv(m, rcond=1e-10, hermitian=True) for m in (ff, yy)]
    return np.trace(inverse[0] @ fy @ inverse[1] @ fy.T)


def test_equals_the_definition(x64, rng):
    features, _ = made_up(rng)
    targets = features[:, :2] @ rng.normal(size=(2, 3)) + rng.normal(size=(60, 3))
    expected = h_by_hand(features, targets)
    np.testing.assert_allclose(
        h_score_regression(features, targets), expected, rtol=1e-9
    )
    weights = rng.uniform(size=60)
    np.testing.assert_allclose(
        h_score_regression(features, targets, weights=weights),
        h_by_hand(features, targets, weights),
        rtol=1e-9,
    )
    with jax.enable_x64(False):
        single = h_score_regression(features, targets)
    np.testing.assert_allclose(single, expected, rtol=1e-4)


def test_four_points_by_hand(x64):
    """f = 1, 2, 3, 4 and y = 1, 3, 2, 4 correlate by 4 / 5."""
    np.testing.assert_allclose(
        h_score_regression([[1.0], [2.0], [3.0], [4.0]], [1.0, 3.0, 2.0, 4.0]), 0.64
    )


def test_of_one_hot_targets_is_the_h_score(x64, rng):
    features, labels = made_up(rng)
    np.testing.assert_allclose(
        h_score_regression(features, np.eye(3)[labels]), h_score(features, labels)
    )


def test_affine_maps_change_nothing(x64, rng):
    features, _ = made_up(rng)
    targets = features[:, :2] + rng.normal(size=(60, 2))
    moved = (
        features @ rng.normal(size=(4, 4)) + 5,
        targets @ rng.normal(size=(2, 2)) - 1,
    )
    np.testing.assert_allclose(
        h_score_regression(*moved), h_score_regression(features, targets), rtol=1e-9
    )


def test_maps_and_unknown_values(x64, rng):
    features, _ = made_up(rng)
    targets = features[:, 0] + rng.normal(size=60)
    expected = h_score_regression(np.delete(features, 7, axis=0), np.delete(targets, 7))
    targets[7] = np.nan
    maps = features.reshape(3, 4, 5, 4), targets.reshape(3, 4, 5)
    np.testing.assert_allclose(h_score_regression(*maps), expected, rtol=1e-12)
    assert h_score_regression(features, np.ones(60)) == 0


def test_gradient(x64, rng):
    features, _ = made_up(rng, 12, 3, 3)
    targets = features[:, :2] + rng.normal(size=(12, 2))
    check_grads(
        lambda f: h_score_regression(f, targets), (features,), order=1, modes=["rev"]
    )


def test_errors(rng):
    features, _ = made_up(rng)
    with pytest.raises(ValueError, match=r"targets: shape \(59,\) does not fit"):
        h_score_regression(features, np.ones(59))
    with pytest.raises(ValueError, match="targets: infinite values"):
        h_score_regression(features, np.full(60, np.inf))
    with pytest.raises(ValueError, match="nothing is left"):
        h_score_regression(features, np.full(60, np.nan))

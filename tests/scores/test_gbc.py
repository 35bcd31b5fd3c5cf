import inspect

import jax
import numpy as np
import pytest
from jax.test_util import check_grads

from tests.scores.made import made_up
from trfjax.scores.gbc import gbc


def overlap_by_hand(features, labels, covariance, floor, reference=False, prior=False):
    """Return the sum over ordered pairs, one after the other."""
    classes = np.unique(labels)
    d = features.shape[1]
    total, weights = 0.0, 0.0
    for a in classes:
        for b in classes:
            if a == b:
                continue
            sides = []
            for c in (a, b):
                rows = features[labels == c]
                gaps = rows - rows.mean(axis=0)
                if covariance == "full":
                    matrix = gaps.T @ gaps / len(rows) + floor * np.eye(d)
                elif covariance == "diagonal":
                    matrix = np.diag(np.maximum(np.mean(gaps**2, axis=0), floor))
                else:
                    matrix = max(np.mean(gaps**2), floor) * np.eye(d)
                sides.append((rows.mean(axis=0), matrix))
            (m, s), (o, t) = sides
            middle = (s + t) / 2
            logs = np.linalg.slogdet(middle)[1]
            logs -= (np.linalg.slogdet(s)[1] + np.linalg.slogdet(t)[1]) / 2
            if reference:
                logs /= d
            distance = (m - o) @ np.linalg.solve(middle, m - o) / 8 + logs / 2
            weight = np.mean(labels == a) * np.mean(labels == b) if prior else 1
            total += weight * np.exp(-distance)
            weights += weight
    return total / weights * len(classes) * (len(classes) - 1)


@pytest.mark.parametrize("pairs", ["equal", "prior"])
@pytest.mark.parametrize("covariance", ["diagonal", "spherical", "full"])
def test_equals_the_definition(covariance, pairs, x64, rng):
    features, labels = made_up(rng, 60, 4, 3)
    expected = -overlap_by_hand(
        features, labels, covariance, 0.1, prior=pairs == "prior"
    )
    got = gbc(features, labels, covariance=covariance, floor=0.1, pairs=pairs)
    np.testing.assert_allclose(got, expected, rtol=1e-10)
    with jax.enable_x64(False):
        single = gbc(features, labels, covariance=covariance, floor=0.1, pairs=pairs)
    np.testing.assert_allclose(single, expected, rtol=1e-4)  # rounding of e^-B
    logs = gbc(
        features, labels, covariance=covariance, floor=0.1, pairs=pairs, logarithm=True
    )
    np.testing.assert_allclose(logs, -np.log(-expected), rtol=1e-10)


def test_the_published_determinant_of_a_sphere(x64, rng):
    """Published code sums logs of one number, which leaves out the factor d."""
    features, labels = made_up(rng)
    expected = -overlap_by_hand(features, labels, "spherical", 1e-4, reference=True)
    got = gbc(features, labels, covariance="spherical", determinant="reference")
    np.testing.assert_allclose(got, expected, rtol=1e-10)
    assert abs(gbc(features, labels, covariance="spherical") - got) > 1e-3


def test_one_feature_by_hand(x64):
    """Two classes of variance v a gap apart: B = gap^2 / (8 v)."""
    rows = np.array([-1.0, 1.0, 4.0, 6.0])[:, None]  # variance 1, gap 5
    expected = -2 * np.exp(-25 / 8)
    for covariance in ("diagonal", "spherical"):
        got = gbc(rows, [0, 0, 1, 1], covariance=covariance)
        np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_limits(x64, rng):
    features, labels = made_up(rng)
    assert gbc(features, 0 * labels) == 0
    assert gbc(features, 0 * labels, logarithm=True) == np.inf
    same = np.tile(features[:20], (3, 1))
    np.testing.assert_allclose(gbc(same, np.repeat([0, 1, 2], 20)), -6, rtol=1e-12)
    np.testing.assert_allclose(
        gbc(features, labels + 3, num_classes=9), gbc(features, labels), rtol=1e-12
    )


def test_far_classes_still_rank_by_logarithm():
    near, far = (np.array([[0.0], [1.0], [g], [g + 1]]) for g in (40.0, 50.0))
    labels = [0, 0, 1, 1]
    assert gbc(near, labels) == gbc(far, labels) == 0  # below the digits of float32
    assert gbc(near, labels, logarithm=True) < gbc(far, labels, logarithm=True) < np.inf


@pytest.mark.parametrize("covariance", ["diagonal", "spherical", "full"])
def test_gradient(covariance, x64, rng):
    features, labels = made_up(rng, 12, 3, 3)
    check_grads(
        lambda f: gbc(f, labels, num_classes=3, covariance=covariance),
        (features,),
        order=1,
        modes=["rev"],
    )


def test_errors(rng):
    features, labels = made_up(rng)
    with pytest.raises(ValueError, match="covariance: 'tied' is none of diagonal"):
        inspect.unwrap(gbc)(features, labels, covariance="tied")
    with pytest.raises(ValueError, match="floor: 0 is not positive"):
        inspect.unwrap(gbc)(features, labels, floor=0)

import inspect

import jax
import numpy as np
import pytest
from jax.test_util import check_grads

from tests.scores.made import made_up
from trfjax.atoms.moments import joined, moments_of
from trfjax.scores.lfc import lfc, lfc_of_moments
from trfjax.scores.lgc import lgc


def cosine_by_hand(features, labels, centring):
    """Make both matrices of pairs."""
    kernel = features @ features.T
    same = np.where(labels[:, None] == labels, 1.0, -1.0)
    if centring == "double":
        centre = np.eye(len(labels)) - 1 / len(labels)
        kernel, same = centre @ kernel @ centre, centre @ same @ centre
    else:
        kernel, same = kernel - kernel.mean(), same - same.mean()
    return np.sum(kernel * same) / np.linalg.norm(kernel) / np.linalg.norm(same)


@pytest.mark.parametrize("centring", ["mean", "double"])
@pytest.mark.parametrize(("n", "d", "c"), [(60, 4, 3), (20, 30, 4), (50, 1, 2)])
def test_equals_the_definition(n, d, c, centring, x64, rng):
    features, labels = made_up(rng, n, d, c)
    expected = cosine_by_hand(features, labels, centring)
    got = lfc(features, labels, centring=centring)
    np.testing.assert_allclose(got, expected, rtol=1e-10)
    with jax.enable_x64(False):
        single = lfc(features, labels, centring=centring)
    np.testing.assert_allclose(single, expected, rtol=1e-4, atol=1e-5)


def test_a_large_mean_cancels_nothing(rng):
    """In float32 the matrix of pairs less its mean has no digits left here."""
    features, labels = made_up(rng)
    expected = cosine_by_hand(features + 3000, labels, "mean")
    got = lfc((features + 3000).astype(np.float32), labels)
    np.testing.assert_allclose(got, expected, rtol=5e-3)  # the features are rounded


def test_by_hand(x64):
    """Rows 1, 1, -1, -1: the matrix of pairs is that of the labels."""
    rows = np.array([[1.0], [1.0], [-1.0], [-1.0]])
    for centring in ("mean", "double"):
        np.testing.assert_allclose(lfc(rows, [0, 0, 1, 1], centring=centring), 1)
    # Classes across both sides: the products of the pairs cancel.
    np.testing.assert_allclose(lfc(rows, [0, 1, 0, 1]), 0, atol=1e-12)
    np.testing.assert_allclose(lfc(rows, [0, 0, 5, 5], num_classes=7), 1)


def test_not_defined(x64, rng):
    features, labels = made_up(rng)
    assert np.isnan(lfc(features, 0 * labels))
    assert np.isnan(lfc(np.ones((60, 4)), labels))


def test_of_moments(x64, rng):
    features, labels = made_up(rng)
    parts = np.split(np.arange(60), [10, 30])
    moments = joined([moments_of(features[p], labels[p], 4) for p in parts])
    rows = np.array([[1.0, 1, 1], [2, 0, 1], [0, 0, 0]])
    got = lfc_of_moments(moments, rows)
    index = np.concatenate([parts[0], parts[0], parts[2]])
    expected = [lfc(features, labels), lfc(features[index], labels[index]), np.nan]
    np.testing.assert_allclose(got, expected, rtol=1e-8)


def test_lgc_of_rotated_features_is_lfc(x64, rng):
    features, labels = made_up(rng)
    turned = features @ np.linalg.qr(rng.normal(size=(4, 4)))[0]
    np.testing.assert_allclose(lgc(turned, labels), lfc(features, labels), rtol=1e-10)


def test_gradient(x64, rng):
    features, labels = made_up(rng, 12, 3, 3)
    check_grads(
        lambda f: lfc(f, labels, num_classes=3), (features,), order=1, modes=["rev"]
    )


def test_errors(rng):
    features, labels = made_up(rng)
    with pytest.raises(ValueError, match="centring: 'rows' is neither"):
        inspect.unwrap(lfc)(features, labels, centring="rows")

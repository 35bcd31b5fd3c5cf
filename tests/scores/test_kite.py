import jax
import numpy as np
import pytest

from tests.scores.made import made_up
from trfjax.scores.kite import kite


def cka(k, other):
    centre = np.eye(len(k)) - 1 / len(k)
    k, other = centre @ k @ centre, centre @ other @ centre
    return np.sum(k * other) / np.linalg.norm(k) / np.linalg.norm(other)


def test_equals_the_definition(x64, rng):
    features, labels = made_up(rng)
    random = features @ rng.normal(size=(4, 6)) + rng.normal(size=(60, 6))
    onehot = np.eye(3)[labels]
    kernels = [rows @ rows.T for rows in (features, onehot, random)]
    expected = cka(kernels[0], kernels[1]) / cka(kernels[0], kernels[2])
    np.testing.assert_allclose(kite(features, random, labels), expected, rtol=1e-10)
    with jax.enable_x64(False):
        single = kite(features, random, labels)
    np.testing.assert_allclose(single, expected, rtol=1e-4)
    # The same features are their own random ones: the first alignment alone.
    expected = cka(kernels[0], kernels[1])
    np.testing.assert_allclose(kite(features, features, labels), expected, rtol=1e-10)


def test_not_defined(rng):
    features, labels = made_up(rng)
    assert np.isnan(kite(features, np.ones((60, 2)), labels))
    assert np.isnan(kite(features, features, 0 * labels))


def test_instances_must_be_the_same(rng):
    features, labels = made_up(rng)
    with pytest.raises(ValueError, match=r"random_features"):
        kite(features, features[1:], labels)

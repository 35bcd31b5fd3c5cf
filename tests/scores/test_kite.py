import jax
import numpy as np
import pytest
from jax.test_util import check_grads

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


def test_what_it_does_not_depend_on(x64, rng):
    """Alignments of centred kernels: no shift, turn or size of either side."""
    features, labels = made_up(rng)
    random = features @ rng.normal(size=(4, 6)) + rng.normal(size=(60, 6))
    expected = float(kite(features, random, labels))
    turns = [np.linalg.qr(rng.normal(size=(k, k)))[0] for k in (4, 6)]
    moved = 3 * features @ turns[0] + 5, 0.1 * random @ turns[1] - 2
    assert float(kite(*moved, labels)) == pytest.approx(expected, rel=1e-9)
    order = rng.permutation(60)
    shuffled = kite(features[order], random[order], 7 * labels[order] - 3)
    assert float(shuffled) == pytest.approx(expected, rel=1e-9)
    assert expected > 0


def test_weights_are_multiplicities(x64, rng):
    features, labels = made_up(rng)
    random = rng.normal(size=(60, 3)) + features[:, :3]
    counts = rng.integers(0, 3, size=60)
    again = np.repeat(np.arange(60), counts)
    found = kite(features, random, labels, weights=counts)
    expected = kite(features[again], random[again], labels[again])
    assert float(found) == pytest.approx(float(expected), rel=1e-9)


def test_gradient(x64, rng):
    features, labels = made_up(rng, 12, 3, 3)
    random = rng.normal(size=(12, 2)) + features[:, :2]
    check_grads(
        lambda f: kite(f, random, labels, num_classes=3),
        (features,), order=1, modes=["rev"],
    )  # fmt: skip


GOOD, IDS = np.arange(12.0).reshape(6, 2), np.arange(6) % 2
NAN = np.where(GOOD == 5, np.nan, GOOD)


@pytest.mark.parametrize(
    ("features", "random", "labels", "message"),
    [
        (NAN, GOOD, IDS, r"features: 1 values are NaN .*\(2, 1\)"),
        (GOOD, NAN, IDS, r"random_features: 1 values are NaN .*\(2, 1\)"),
        (GOOD[1:], GOOD, IDS, r"labels: shape \(6,\) does not fit features"),
        (GOOD, GOOD[1:], IDS, r"labels: shape \(6,\) does not fit random_features"),
        (GOOD, GOOD[:, 0], IDS, r"random_features: expected \(n, d\) rows"),
        (GOOD, GOOD, np.full(6, 255), "labels: nothing is left to score"),
    ],
)
def test_what_cannot_be_compared_is_refused(features, random, labels, message):
    with pytest.raises(ValueError, match=message):
        kite(features, random, labels)

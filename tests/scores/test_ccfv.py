import jax
import numpy as np
import pytest
from scipy.linalg import sqrtm

from tests.scores.made import made_up
from trfjax.errors import ScoreWarning
from trfjax.scores.ccfv import ccfv
from trfjax.scores.ccfv_tables import ccfv_tables


def ccfv_by_hand(layers, labels, images, inverse=False):
    total = 0.0
    names = np.unique(images)
    for rows in layers:
        means = [rows[images == i].mean(axis=0) for i in names]
        pairs = [(a, b) for a in range(len(names)) for b in range(a)]
        variety = np.mean(
            [1 / np.sqrt(np.sum((means[a] - means[b]) ** 2) + 1e-3) for a, b in pairs]
        )
        by_class = []
        for c in np.unique(labels):
            found = []
            for a, b in pairs:
                sides = [rows[(images == names[i]) & (labels == c)] for i in (a, b)]
                if min(map(len, sides)) == 0:
                    continue
                (m, s), (o, t) = [
                    (x.mean(axis=0), np.cov(x.T, bias=True)) for x in sides
                ]
                crossed = np.trace(sqrtm(sqrtm(s) @ t @ sqrtm(s))).real
                squared = np.sum((m - o) ** 2) + np.trace(s + t) - 2 * crossed
                found.append(np.sqrt(max(squared, 0)))
            if found:
                by_class.append(np.mean(found))
        variety = 1 / variety if inverse else variety
        total += np.log(variety / np.mean(by_class))
    return total


@pytest.mark.parametrize("variety", ["energy", "inverse"])
def test_equals_the_definition(variety, x64, rng):
    first, labels = made_up(rng, 240, 3, 3)
    second = np.tanh(first @ rng.normal(size=(3, 2)))
    images = rng.integers(4, size=240)
    labels[images == 2] = 0  # classes that an image lacks
    expected = ccfv_by_hand([first, second], labels, images, variety == "inverse")
    got = ccfv([first, second], labels, images=images, variety=variety)
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_resampled_images(x64, rng):
    rows, labels = made_up(rng, 120, 3, 2)
    images = rng.integers(4, size=120)
    tables = ccfv_tables([rows], labels, images=images)
    kept = np.isin(images, [0, 1, 3])
    expected = ccfv([rows[kept]], labels[kept], images=images[kept])
    got = tables.score(np.array([[1.0, 1, 0, 1], [2.0, 2, 0, 2]]))
    np.testing.assert_allclose(got, [expected, expected], rtol=1e-9)


def test_fewer_pixels_than_features(rng):
    """The root of a singular covariance is real, whatever rounding does."""
    rows, labels = rng.normal(size=(12, 20)), np.arange(12) % 2
    assert np.isfinite(ccfv([rows], labels, images=np.repeat([0, 1], 6)))


def test_no_class_in_two_images(rng):
    rows, labels = rng.normal(size=(8, 2)), np.repeat([0, 1], 4)
    with pytest.warns(ScoreWarning, match="no class is in two images"):
        assert np.isnan(ccfv([rows], labels, images=labels))


def test_errors(rng):
    rows, labels = rng.normal(size=(8, 2)), np.arange(8) % 2
    with pytest.raises(ValueError, match="images: a single image"):
        ccfv([rows], labels, images=np.zeros(8, int))
    with pytest.raises(ValueError, match="layers: none given"):
        ccfv([], labels)
    with pytest.raises(ValueError, match="not defined under jit"):
        jax.jit(lambda x: ccfv([x], labels))(rows)

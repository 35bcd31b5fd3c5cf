import numpy as np
import pytest

from trfjax.atoms.compress import compress
from trfjax.atoms.moments import joined, moments_of
from trfjax.scores.hscore import h_score
from trfjax.scores.hscore_sums import h_score_of_moments
from trfjax.scores.leep import leep, leep_of_atoms
from trfjax.scores.logme import logme
from trfjax.scores.logme_sums import logme_of_moments
from trfjax.scores.nce import nce, nce_of_counts

IMAGES = 5
ROWS = np.array([[1, 1, 1, 1, 1], [2, 0, 1, 0, 2], [0, 0, 0, 3, 0]], np.float32)


def data(n=300, d=6, classes=3):
    rng = np.random.default_rng(0)
    image, y = rng.integers(0, IMAGES, n), rng.integers(0, classes, n)
    x = rng.normal(size=(n, d)) + 2 * np.eye(d)[y] + rng.normal(size=(IMAGES, d))[image]
    return x.astype(np.float32), y, image


def repeated(row, image):
    """The rows of the resampled images, one after the other."""
    return np.repeat(np.arange(len(image)), row.astype(int)[image])


def test_nce_counts_pixels():
    x, y, image = data()
    predicted = x[:, :4].argmax(1)
    counts = np.zeros((IMAGES, 4, 3))
    np.add.at(counts, (image, predicted, y), 1)
    found = nce_of_counts(counts, ROWS)
    for row, value in zip(ROWS, found, strict=True):
        rows = repeated(row, image)
        assert value == pytest.approx(float(nce(predicted[rows], y[rows])), abs=1e-6)


def test_leep_of_an_atom_for_every_pixel_is_leep():
    x, y, image = data()
    probs = (np.exp(x) / np.exp(x).sum(1, keepdims=True)).astype(np.float32)
    atoms = compress(probs, y, image=image)
    for row, value in zip(ROWS, leep_of_atoms(atoms, ROWS), strict=True):
        rows = repeated(row, image)
        assert value == pytest.approx(float(leep(probs[rows], y[rows])), abs=1e-6)


def test_leep_of_few_atoms_is_near():
    x, y, image = data(4000)
    probs = (np.exp(x) / np.exp(x).sum(1, keepdims=True)).astype(np.float32)
    exact = float(leep(probs, y))
    errors = [
        abs(float(leep_of_atoms(compress(probs, y, image=image, atoms=m), ROWS[:1])[0])
            - exact)
        for m in (16, 256)
    ]  # fmt: skip
    assert errors[1] < errors[0] / 2 and errors[1] < 5e-3


@pytest.mark.parametrize(
    ("of_moments", "score"), [(h_score_of_moments, h_score), (logme_of_moments, logme)]
)
def test_scores_of_moments_are_those_of_the_pixels(of_moments, score):
    x, y, image = data()
    parts = [moments_of(x[image == i], y[image == i], 3) for i in range(IMAGES)]
    for row, value in zip(ROWS, of_moments(joined(parts), ROWS), strict=True):
        rows = repeated(row, image)
        expected = float(score(x[rows], y[rows]))
        assert value == pytest.approx(expected, rel=2e-4)  # the score is float32


def test_a_feature_that_never_varies_is_no_trouble():
    x, y, image = data()
    flat = np.concatenate([x, np.ones((len(x), 1), "f4")], axis=1)
    parts = [moments_of(flat[image == i], y[image == i], 3) for i in range(IMAGES)]
    found = h_score_of_moments(joined(parts), ROWS[:1])[0]
    assert found == pytest.approx(float(h_score(x, y)), rel=1e-4)


def test_resamples_without_a_pixel_are_nan():
    parts = [moments_of(np.zeros((0, 2), "f4"), np.zeros(0, int), 2)] * 2
    assert np.isnan(h_score_of_moments(joined(parts), np.ones((1, 2)))).all()
    assert np.isnan(nce_of_counts(np.zeros((2, 1, 2)), np.ones((1, 2)))).all()

import numpy as np
import pytest
from scipy import stats

from tests.scores.made import made_up
from trfjax.errors import ScoreWarning
from trfjax.scores.parc import parc, ranked_pairs


def parc_by_hand(features, labels):
    """Both matrices of pairs, and SciPy's rank correlation of their triangles."""
    spread = features.std(axis=0)
    standard = (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1)
    return ranks_by_hand(standard, labels)


def ranks_by_hand(standard, labels):
    onehot = np.eye(labels.max() + 1)[labels]
    lower = np.tril_indices(len(labels), -1)
    sides = [np.round(1 - np.corrcoef(rows), 10)[lower] for rows in (standard, onehot)]
    return stats.spearmanr(sides[0], sides[1]).statistic  # pyright: ignore


@pytest.mark.parametrize(("n", "d", "c"), [(60, 4, 3), (25, 30, 4), (40, 2, 2)])
def test_equals_the_definition(n, d, c, x64, rng):
    features, labels = made_up(rng, n, d, c)
    np.testing.assert_allclose(
        parc(features, labels), parc_by_hand(features, labels), rtol=1e-9
    )


def test_four_rows_by_hand(x64):
    """Two classes, each of two equal rows: near pairs are those of a class."""
    rows = np.array([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    np.testing.assert_allclose(parc(rows, [3, 3, 8, 8]), 1, rtol=1e-12)
    np.testing.assert_allclose(parc(rows, [3, 8, 3, 8]), -0.5, rtol=1e-12)


def test_weights_are_multiplicities(x64, rng):
    features, labels = made_up(rng, 30, 4, 3)
    counts = rng.integers(0, 3, size=30)
    again = np.repeat(features, counts, axis=0), np.repeat(labels, counts)
    np.testing.assert_allclose(
        parc(features, labels, weights=counts), parc(*again), rtol=1e-9
    )
    np.testing.assert_allclose(parc(*again), parc_by_hand(*again), rtol=1e-9)


def test_pairs_of_resampled_instances(x64, rng):
    """The scale is that of the instances given; all else is counted anew."""
    features, labels = made_up(rng, 30, 4, 3)
    pairs = ranked_pairs(features, labels)
    counts = rng.integers(1, 3, size=30).astype(float)
    standard = (features - features.mean(axis=0)) / features.std(axis=0)
    again = np.repeat(np.arange(30), counts.astype(int))
    expected = ranks_by_hand(standard[again], labels[again])
    np.testing.assert_allclose(pairs.score(counts[pairs.origin]), expected, rtol=1e-9)
    np.testing.assert_allclose(pairs.score(np.ones(30)), float(parc(features, labels)))


def test_constant_features_and_rows(x64, rng):
    features, labels = made_up(rng)
    padded = np.pad(features, ((0, 0), (0, 1)), constant_values=7)
    assert np.isfinite(parc(padded, labels))
    flat = np.concatenate([features, features.mean(axis=0, keepdims=True)])
    flat[:, 1:] = flat[:, :1]  # every standardised row is constant
    with pytest.warns(ScoreWarning) as caught:
        assert np.isnan(parc(flat, np.append(labels, 0)))
    assert any("left" in str(w.message) for w in caught)


def test_not_defined(rng):
    features, labels = made_up(rng)
    with pytest.warns(ScoreWarning, match="fewer than two classes"):
        assert np.isnan(parc(features, 0 * labels))

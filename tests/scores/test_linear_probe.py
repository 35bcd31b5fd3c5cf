import inspect

import jax
import numpy as np
import pytest

from trfjax.errors import ScoreWarning
from trfjax.scores.linear_probe import linear_probe
from trfjax.scores.probe import probe_tally


def probe_by_hand(features, labels, images, weights, *, folds, penalty, equal=False):
    """Fit on the rows of the other images, one fold after the other; return votes."""
    judged, votes, likely = [], [], []
    fold = np.unique(images, return_inverse=True)[1] % folds
    for index in np.unique(fold):
        x, y, w = (a[fold != index] for a in (features, labels, weights))
        known = np.unique(y)
        if equal:
            w = w / np.array([w[y == c].sum() for c in range(y.max() + 1)])[y]
        w = w / w.sum()
        mean = w @ x
        spread = np.sqrt(w @ (x - mean) ** 2)
        x = (x - mean) / spread
        onehot = (y[:, None] == known).astype(float)
        prior = w @ onehot
        gram = (x * w[:, None]).T @ x + penalty * np.eye(x.shape[1])
        solution = np.linalg.inv(gram) @ (x * w[:, None]).T @ (onehot - prior)
        misfit = w @ np.sum((onehot - prior - x @ solution) ** 2, axis=1)
        for row in np.flatnonzero((fold == index) & np.isin(labels, known)):
            fitted = prior + (features[row] - mean) / spread @ solution
            judged.append(row)
            votes.append(known[np.argmax(fitted)])
            powers = np.exp(fitted / (misfit / len(known)))
            likely.append(np.log(powers[known == labels[row]][0] / powers.sum()))
    return np.array(judged), np.array(votes), np.array(likely)


def measured(measure, given, votes, likely, weights):
    hit = (votes == given) * weights
    if measure == "accuracy":
        return hit.sum() / weights.sum()
    if measure == "log_likelihood":
        return np.sum(likely * weights) / weights.sum()
    shares = []
    for c in np.unique(given):
        union = (given == c) | ((votes == c) & (measure == "miou"))
        shares.append(hit[given == c].sum() / weights[union].sum())
    return np.mean(shares)


def made_up(rng, n=240, d=5, classes=4, images=7):
    labels = rng.permutation(np.arange(n) % classes)
    features = rng.normal(size=(classes, d))[labels] + rng.normal(size=(n, d))
    return features @ rng.normal(size=(d, d)) + 3, labels, rng.integers(images, size=n)


@pytest.mark.parametrize("measure", ["balanced", "accuracy", "miou", "log_likelihood"])
@pytest.mark.parametrize("fit", ["instances", "classes"])
def test_equals_the_definition(fit, measure, x64, rng):
    features, labels, images = made_up(rng)
    weights = rng.integers(1, 4, size=len(labels)).astype(float)
    rows, votes, likely = probe_by_hand(
        features, labels, images, weights, folds=3, penalty=0.1, equal=fit == "classes"
    )
    expected = measured(measure, labels[rows], votes, likely, weights[rows])
    got = linear_probe(
        features,
        labels,
        images=5 + 3 * images,
        weights=weights,
        folds=3,
        penalty=0.1,
        fit=fit,
        measure=measure,
    )
    # 1e-9: a fold is left out by subtraction, the definition sums what is left.
    np.testing.assert_allclose(got, expected, rtol=1e-9)


def test_limits(rng):
    labels = np.arange(300) % 3
    assert linear_probe(np.eye(3)[labels], labels) == 1
    independent = linear_probe(rng.normal(size=(3000, 4)), np.arange(3000) % 3)
    assert abs(independent - 1 / 3) < 0.03  # three standard errors of 3000 rows
    constant = linear_probe(np.ones((300, 4)), labels)  # one class wins everywhere
    np.testing.assert_allclose(constant, 1 / 3, atol=1e-6)


def test_images_are_unseen(rng):
    """Features that know the image, labels that follow it: chance, not 1."""
    images = np.repeat(np.arange(40), 25)
    labels = rng.integers(2, size=40)[images]
    known = np.eye(40)[images]
    assert linear_probe(known, labels) > 0.99  # a fault: pixels of one image leak
    assert linear_probe(known, labels, images=images) < 0.75


def test_a_class_of_one_image_is_not_judged(rng):
    features, labels, images = made_up(rng, classes=3)
    alone = np.where(images == 6, 3, labels)
    tally = probe_tally(features, alone, images=images, folds=7)
    assert tally.given[:, 3].sum() == 0
    assert (tally.given[:6, :3].sum(axis=0) > 0).all()


def test_one_image_or_one_class():
    features, labels = np.eye(4)[np.arange(8) % 4], np.arange(8) % 2
    with pytest.warns(ScoreWarning, match="nothing could be judged"):
        assert np.isnan(linear_probe(features, labels, images=np.zeros(8, int)))
    with pytest.warns(ScoreWarning, match="single class"):
        assert linear_probe(features, 0 * labels) == 1


def test_maps_are_images(rng):
    features, labels, _ = made_up(rng, n=6 * 5 * 8)
    images = np.repeat(np.arange(6), 40)
    maps = features.reshape(6, 5, 8, 5), labels.reshape(6, 5, 8)
    expected = linear_probe(features, labels, images=images)
    assert linear_probe(*maps) == expected
    assert linear_probe(*maps, images=np.arange(6) * 10) == expected


def test_tally_of_resampled_images(rng):
    features, labels, images = made_up(rng)
    tally = probe_tally(features, labels, images=images)
    counts = rng.multinomial(7, np.full(7, 1 / 7), size=3).astype(float)
    got = tally.score(counts)
    rows, votes, _ = probe_by_hand(
        features, labels, images, np.ones(240), folds=5, penalty=1e-2
    )
    for count, value in zip(counts, got, strict=True):
        weights = count[images[rows]]
        seen = weights > 0
        expected = measured(
            "balanced", labels[rows][seen], votes[seen], None, weights[seen]
        )
        np.testing.assert_allclose(value, expected, rtol=1e-9)


def test_bad_input(rng):
    features, labels, images = made_up(rng)
    with pytest.raises(ValueError, match="folds: 1 is less than 2"):
        linear_probe(features, labels, folds=1)
    with pytest.raises(ValueError, match=r"penalty: 0\.0 is not positive"):
        linear_probe(features, labels, penalty=0.0)
    with pytest.raises(ValueError, match="fit: 'pixels' is neither"):
        inspect.unwrap(probe_tally)(features, labels, fit="pixels")
    with pytest.raises(ValueError, match="measure: 'dice' is none of"):
        inspect.unwrap(linear_probe)(features, labels, measure="dice")
    with pytest.raises(ValueError, match=r"images: shape \(3,\)"):
        linear_probe(features, labels, images=images[:3])
    with pytest.raises(ValueError, match="not defined under jit"):
        jax.jit(lambda x: linear_probe(x, labels))(features)

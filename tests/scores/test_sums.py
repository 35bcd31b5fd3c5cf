"""Sums on the host: against NumPy, and as a way to the same scores."""

import dataclasses
import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.scores.made import made_up
from trfjax.arrays import labelled_rows
from trfjax.scores import leep as leep_file
from trfjax.scores import sums
from trfjax.scores.hscore import h_score, h_score_rank
from trfjax.scores.leep import leep
from trfjax.scores.logme import logme
from trfjax.scores.shrunk import shrunk_h_score
from trfjax.scores.sums import is_many, sums_of


def rows_of(features, labels, weights=None, num_classes=None):
    return labelled_rows(features, labels, num_classes=num_classes, weights=weights)


def sums_by_hand(features, labels, weights, classes, *, centred, by_column):
    """One instance after the other."""
    weights = np.asarray(weights, float)
    mean = weights @ features / weights.sum() if centred else 0
    shifted = features - mean
    size = np.abs(shifted[weights > 0]).max(axis=0)
    scaled = shifted / (size if by_column else size.max())
    d = features.shape[1]
    counts, by_class = np.zeros(classes), np.zeros((classes, d))
    products, fourth = np.zeros((d, d)), 0.0
    for x, y, w in zip(scaled, labels, weights, strict=True):
        counts[y] += w
        by_class[y] += w * x
        products += w * np.outer(x, x)
        fourth += w * (x @ x) ** 2
    return counts, by_class, products, fourth


@pytest.mark.parametrize("part", [7, 60, 1000])
@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("by_column", [True, False])
def test_they_are_added_up_part_by_part(
    part, centred, by_column, x64, rng, monkeypatch
):
    monkeypatch.setattr(sums, "PART", part)
    features, labels = made_up(rng)
    weights = rng.integers(0, 3, size=60)
    found = sums_of(
        rows_of(features, labels, weights), centred=centred, by_column=by_column
    )
    expected = sums_by_hand(
        features, labels, weights, 3, centred=centred, by_column=by_column
    )
    for name, value in zip(
        ("counts", "sums", "products", "fourth"), expected, strict=True
    ):
        np.testing.assert_allclose(
            getattr(found, name), value, rtol=1e-11, atol=1e-12, err_msg=name
        )


def test_a_column_that_only_rounding_varies_is_0(rng):
    features, labels = made_up(rng)
    features[:, 1] = 1e6 * (1 + 3e-8 * rng.normal(size=60))  # below a step of float32
    features[:, 2] = 7
    found = sums_of(rows_of(features, labels), centred=True, by_column=True)
    assert not found.products[[1, 2]].any() and not found.products[:, [1, 2]].any()
    assert (np.diag(found.products)[[0, 3]] > 1).all()


def test_no_scale_leaves_the_range(x64, rng):
    features, labels = made_up(rng)
    plain = sums_of(rows_of(features, labels), centred=True, by_column=False)
    for scale in (1e-150, 1e150):
        found = sums_of(
            rows_of(scale * features, labels), centred=True, by_column=False
        )
        np.testing.assert_allclose(found.products, plain.products, rtol=1e-9)
        assert found.fourth == pytest.approx(plain.fourth, rel=1e-9)


def test_a_million_rows_are_exact_where_float32_is_not():
    """A column of 1 with a few of 1 + 2^-10: sums of float32 drift, these do not."""
    n = 1_000_000
    features = np.ones((n, 2), np.float32)
    features[::1000, 0] += np.float32(2**-10)
    labels = np.zeros(n, np.int32)
    found = sums_of(rows_of(features, labels), centred=False, by_column=False)
    size = 1 + 2**-10
    # A million roundings of float64, of which each is of 1e-16.
    assert found.sums[0, 1] * size == pytest.approx(n, rel=1e-11)
    assert found.sums[0, 0] * size == pytest.approx(n + 1000 * 2**-10, rel=1e-11)
    assert found.counts[0] == n


def test_many_rows_are_those_that_can_be_looked_at(monkeypatch, rng):
    monkeypatch.setattr(sums, "MANY", 60)
    features, labels = made_up(rng)
    rows = rows_of(features, labels)
    assert is_many(rows)
    fewer = dataclasses.replace(
        rows,
        features=rows.features[1:],
        labels=rows.labels[1:],
        weights=rows.weights[1:],
    )
    assert not is_many(fewer)
    traced = []

    @jax.jit
    def score(features):
        traced.append(is_many(dataclasses.replace(rows, features=features)))
        return features.sum()

    score(jnp.asarray(features))
    assert traced == [False]


SCORES = {
    "h_score": h_score,
    "h_score_rank": h_score_rank,
    "shrunk": shrunk_h_score,
    "shrunk, consistent": functools.partial(shrunk_h_score, ddof="consistent"),
    "logme": logme,
    "logme, intercept": functools.partial(logme, intercept=True),
    "logme, reference": functools.partial(logme, mode="reference"),
    "logme, 2021": functools.partial(logme, mode="reference-2021"),
}


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("weighted", [False, True])
def test_scores_are_the_same_by_either_way(name, weighted, x64, rng, monkeypatch):
    """From the rows, compiled; and from sums on the host, as of many rows."""
    features, labels = made_up(rng)
    weights = rng.integers(0, 3, size=60) if weighted else None
    score = functools.partial(SCORES[name], features, labels, weights=weights)
    compiled, wide = float(score()), float(score(num_classes=5))
    monkeypatch.setattr(sums, "MANY", 1)
    # 1e-9: one decomposes the rows, the other their products.
    assert float(score()) == pytest.approx(compiled, rel=1e-9)
    assert float(score(num_classes=5)) == pytest.approx(wide, rel=1e-9)


@pytest.mark.parametrize("reduction", ["log", "prob"])
def test_leep_is_the_same_by_either_way(reduction, x64, rng, monkeypatch):
    probs, labels = rng.dirichlet(np.ones(4), 50), rng.integers(3, size=50)
    probs = np.pad(probs, ((0, 0), (0, 1)))  # a source class that never occurs
    weights = rng.integers(0, 3, size=50)
    score = functools.partial(leep, probs, labels, weights=weights, reduction=reduction)
    compiled = float(score())
    monkeypatch.setattr(sums, "MANY", 1)
    monkeypatch.setattr(leep_file, "PART", 7)
    assert float(score()) == pytest.approx(compiled, rel=1e-12)


@pytest.mark.parametrize("name", ["h_score", "shrunk", "logme"])
def test_degenerate_rows_are_the_same_by_either_way(name, x64, rng, monkeypatch):
    """A single class, features without content, fewer rows than features."""
    features, labels = made_up(rng)
    wide = rng.normal(size=(60, 70))
    cases = [(features, 0 * labels), (np.ones((60, 4)), labels), (wide, labels)]

    def values():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return [float(SCORES[name](f, y)) for f, y in cases]

    compiled = values()
    monkeypatch.setattr(sums, "MANY", 1)
    np.testing.assert_allclose(values(), compiled, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("copies", [1, 6, 20])
def test_copies_of_features_are_no_more_rank(copies, x64, rng, monkeypatch):
    """In float64 rounding of the sums passed for directions; one had H = -0.34."""
    base, labels = made_up(rng, 600)
    features = np.hstack([base, base @ rng.normal(size=(4, copies))])
    expected = float(h_score(base, labels))
    monkeypatch.setattr(sums, "MANY", 1)
    assert int(h_score_rank(features, labels)) == 4
    assert float(h_score(features, labels)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("size", [0.01, 100.0])
def test_published_iterations_begin_at_the_scale_of_the_features(
    size, x64, rng, monkeypatch
):
    """They depend on it, and sums are of scaled features."""
    features, labels = made_up(rng)
    scores = [
        functools.partial(logme, size * features, labels, mode=mode)
        for mode in ("reference", "reference-2021")
    ]
    compiled = [float(score()) for score in scores]
    monkeypatch.setattr(sums, "MANY", 1)
    np.testing.assert_allclose([score() for score in scores], compiled, rtol=1e-9)

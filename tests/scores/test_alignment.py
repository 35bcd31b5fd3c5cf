"""Alignments from sums, against matrices of all pairs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scores.made import made_up
from tests.scores.test_lfc import cosine_by_hand
from trfjax.scores.alignment import (
    AlignmentSums,
    alignment_sums,
    feature_label_cosine,
)

few = settings(max_examples=30, deadline=None, derandomize=True, database=None)


def sums_by_hand(features, labels, weights, classes):
    n = weights.sum()
    mean = weights @ features / n
    gaps = features - mean
    counts = np.bincount(labels, weights, classes)
    sums = np.stack([(weights * (labels == c)) @ gaps for c in range(classes)])
    products = (weights[:, None] * gaps).T @ gaps
    return AlignmentSums(mean, counts, sums, products)


def test_sums(x64, rng):
    features, labels = made_up(rng)
    weights = rng.uniform(size=60)
    given_ = (jnp.asarray(v) for v in (features, labels, weights))
    found = alignment_sums(*given_, 4)
    for part, expected in zip(
        found, sums_by_hand(features, labels, weights, 4), strict=True
    ):
        np.testing.assert_allclose(part, expected, rtol=1e-10, atol=1e-11)


@few
@given(st.integers(0, 2**32 - 1), st.booleans(), st.integers(3, 25), st.integers(1, 6))
def test_the_cosine_is_that_of_the_matrices_of_pairs(seed, double, n, d):
    rng = np.random.default_rng(seed)
    labels = np.concatenate([[0, 1], rng.integers(3, size=n - 2)])
    features = rng.normal(size=(n, d)) + rng.normal()
    sums = sums_by_hand(features, labels, np.ones(n), 3)
    found = feature_label_cosine(sums, double=double, xp=np)
    expected = cosine_by_hand(features, labels, "double" if double else "mean")
    assert found == pytest.approx(expected, rel=1e-7, abs=1e-9)
    assert -1 - 1e-12 <= found <= 1 + 1e-12


@few
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_weights_are_multiplicities(seed, double):
    rng = np.random.default_rng(seed)
    features, labels = rng.normal(size=(12, 3)), np.arange(12) % 3
    counts = rng.integers(1, 4, size=12)
    again = np.repeat(np.arange(12), counts)
    found = feature_label_cosine(
        sums_by_hand(features, labels, counts.astype(float), 3), double=double, xp=np
    )
    expected = cosine_by_hand(
        features[again], labels[again], "double" if double else "mean"
    )
    assert found == pytest.approx(expected, rel=1e-7, abs=1e-9)


def test_only_double_centring_bears_a_shift(x64, rng):
    features, labels = made_up(rng)
    given_ = [sums_by_hand(features + k, labels, np.ones(60), 3) for k in (0, 5)]
    double = [feature_label_cosine(s, double=True, xp=np) for s in given_]
    mean = [feature_label_cosine(s, double=False, xp=np) for s in given_]
    assert double[0] == pytest.approx(double[1], rel=1e-9)
    assert abs(mean[0] - mean[1]) > 1e-3


@pytest.mark.parametrize("double", [True, False])
def test_where_it_is_not_defined_it_is_nan_with_a_finite_derivative(double, x64, rng):
    features, labels = made_up(rng)

    def cosine(features, labels):
        weights = jnp.ones(60)
        sums = alignment_sums(features, jnp.asarray(labels), weights, 3)
        return feature_label_cosine(sums, double=double)

    for f, y in ((features, 0 * labels), (np.ones((60, 4)), labels)):
        assert np.isnan(cosine(jnp.asarray(f), y))
    slope = jax.grad(cosine)(jnp.asarray(features), labels)
    assert np.isfinite(slope).all()

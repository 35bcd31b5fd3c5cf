"""Bounds, floors and shares of what there is: by hand, and as laws of entropies."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trfjax.scores import SCORES
from trfjax.scores.bounds import (
    ENTROPY,
    SEPARATION,
    entropy_bounds,
    entropy_limits,
    minus_entropy,
    shares,
    unbounded,
)

few = settings(max_examples=30, deadline=None, derandomize=True, database=None)
counts = st.lists(st.integers(0, 50), min_size=1, max_size=8).filter(any)


@few
@given(counts)
def test_entropies_of_shares(given_counts):
    share = np.array(given_counts) / sum(given_counts)
    found = minus_entropy(share)
    expected = sum(p * np.log(p) for p in share if p > 0)
    assert found == pytest.approx(expected, abs=1e-12)
    low, high = entropy_limits(share)
    assert high == 0 and low - 1e-12 <= found <= 1e-12
    even = np.where(share > 0, 1, 0) / np.sum(share > 0)
    assert minus_entropy(even) == pytest.approx(low, abs=1e-12)
    # The floor explains nothing, 0 explains all; in between it is a line.
    if np.sum(share > 0) > 1:
        assert ENTROPY.share(found, share) == pytest.approx(0, abs=1e-12)
        assert ENTROPY.share(0.0, share) == 1
        assert ENTROPY.share(found / 4, share) == pytest.approx(0.75)
    else:
        assert np.isnan(ENTROPY.share(0.0, share))


@few
@given(counts)
def test_shares_are_those_of_the_classes_present(given_counts):
    labels = np.repeat(np.arange(len(given_counts)), given_counts)
    present = np.array([c for c in given_counts if c])
    np.testing.assert_allclose(shares(labels), present / present.sum())
    low, high = entropy_bounds(labels, {})
    assert high == 0 and low == pytest.approx(minus_entropy(shares(labels)))


@pytest.mark.parametrize(
    ("score", "share", "expected"),
    [
        (1.0, [0.5, 0.25, 0.25], 0.5),
        (2.0, [0.5, 0.25, 0.25], 1.0),
        (0.0, [0.9, 0.1], 0.0),
        (0.5, [0.9, 0.1, 0.0], 0.5),  # a class without a pixel is none
        (0.0, [1.0], np.nan),
    ],
)
def test_shares_of_what_perfect_features_separate(score, share, expected):
    np.testing.assert_allclose(SEPARATION.share(score, np.array(share)), expected)


def test_a_score_without_bounds():
    assert unbounded(np.zeros(3, int), {}) == (-np.inf, np.inf)


@pytest.mark.parametrize("name", [n for n, s in SCORES.items() if s.floor is not None])
@pytest.mark.parametrize("share", [[0.5, 0.5], [0.7, 0.2, 0.1], [0.25] * 4])
def test_floors_explain_nothing_and_lie_within_the_limits(name, share):
    spec, share = SCORES[name], np.array(share)
    floor = spec.floor(share)
    assert np.isfinite(floor)
    if spec.limits is not None:
        low, high = spec.limits(share)
        assert low - 1e-12 <= floor <= high
    if spec.explained is not None and name != "logme":
        assert spec.explained.share(floor, share) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("share", [[0.5, 0.5], [0.7, 0.2, 0.1]])
def test_logme_is_explained_against_the_best_constants(share):
    """R squared is 0 where features explain what constants do: share (1 - share)."""
    share = np.array(share)
    constant = -0.5 * float(np.log(2 * np.pi * np.e * share * (1 - share)).mean())
    explained = SCORES["logme"].explained
    assert explained is not None
    assert explained.share(constant, share) == pytest.approx(0, abs=1e-12)
    # Half of the variance left is log(2) / 2 more evidence.
    half = explained.share(constant + np.log(2) / 2, share)
    assert half == pytest.approx(0.5)

"""Ridge regression from sums, against least squares on the rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scores.made import made_up
from trfjax.scores.ridge import (
    LEAST_SPREAD,
    RidgeSums,
    all_but_one,
    fit_ridge,
    ridge_sums,
)

few = settings(max_examples=25, deadline=None, derandomize=True, database=None)


def fitted(features, labels, weights=None, *, classes=3, penalty=0.1, by_class=False):
    weights = np.ones(len(labels)) if weights is None else weights
    sums = ridge_sums(features, labels, weights, classes, by_class=by_class)
    return fit_ridge(sums, penalty)


def ridge_by_hand(features, labels, weights, penalty, *, by_class=False, classes=3):
    """Least squares on the rows, with rows of the root of the penalty below."""
    counts = np.bincount(labels, weights, classes)
    share = weights / counts[labels] if by_class else weights
    share = share / share.sum()
    mean = share @ features
    spread = np.sqrt(share @ (features - mean) ** 2)
    x = (features - mean) / spread
    y = np.eye(classes)[labels]
    prior = share @ y
    d = x.shape[1]
    left = np.vstack([np.sqrt(share)[:, None] * x, np.sqrt(penalty) * np.eye(d)])
    right = np.vstack([np.sqrt(share)[:, None] * (y - prior), np.zeros((d, classes))])
    solution = np.linalg.lstsq(left, right, rcond=None)[0]
    misfit = share @ np.sum((y - prior - x @ solution) ** 2, axis=1)
    weight = solution / spread[:, None]
    return weight, prior - mean @ weight, misfit / (counts > 0).sum()


@few
@given(st.integers(0, 2**32 - 1), st.booleans(), st.sampled_from([1e-3, 0.1, 10.0]))
def test_it_is_the_least_squares_solution(seed, by_class, penalty):
    rng = np.random.default_rng(seed)
    features, labels = made_up(rng)
    weights = rng.integers(1, 4, size=60).astype(float)
    found = fitted(features, labels, weights, penalty=penalty, by_class=by_class)
    weight, bias, spread = ridge_by_hand(
        features, labels, weights, penalty, by_class=by_class
    )
    np.testing.assert_allclose(found.weight, weight, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(found.bias, bias, rtol=1e-7, atol=1e-9)
    assert found.spread == pytest.approx(spread, rel=1e-7)
    assert found.known.all()


def test_sums_by_class_and_all_together(rng):
    features, labels = made_up(rng)
    weights = rng.uniform(size=60)
    whole = ridge_sums(features, labels, weights, 4, by_class=False)
    parts = ridge_sums(features, labels, weights, 4, by_class=True)
    assert whole.products.shape == (1, 4, 4) and parts.products.shape == (4, 4, 4)
    np.testing.assert_allclose(parts.products.sum(axis=0), whole.products[0])
    for c in range(4):
        held = labels == c
        w = weights[held]
        assert whole.counts[c] == pytest.approx(w.sum())
        np.testing.assert_allclose(whole.features[c], w @ features[held])
        gram = (features[held] * w[:, None]).T @ features[held]
        np.testing.assert_allclose(parts.products[c], gram, atol=1e-12)


def test_leaving_out_by_subtraction_is_leaving_out(rng):
    features, labels = made_up(rng)
    weights = rng.uniform(size=60)
    folds = np.arange(60) % 4
    parts = [
        ridge_sums(
            *(v[folds == k] for v in (features, labels, weights)), 3, by_class=True
        )
        for k in range(4)
    ]
    for k, found in enumerate(all_but_one(parts)):
        rest = (v[folds != k] for v in (features, labels, weights))
        expected = ridge_sums(*rest, 3, by_class=True)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)


def test_limits_of_the_penalty(rng):
    features, labels = made_up(rng)
    share = np.bincount(labels) / 60
    strong = fitted(features, labels, penalty=1e9)
    np.testing.assert_allclose(strong.weight, 0, atol=1e-8)
    np.testing.assert_allclose(strong.bias, share, atol=1e-7)
    # Nothing is explained: the variance of the one-hot labels is left.
    assert strong.spread == pytest.approx(np.sum(share * (1 - share)) / 3, rel=1e-6)
    weak = fitted(features, labels, penalty=1e-12)
    design = np.column_stack([features, np.ones(60)])
    plain = np.linalg.lstsq(design, np.eye(3)[labels], rcond=None)[0]
    np.testing.assert_allclose(weak.weight, plain[:4], rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(weak.bias, plain[4], rtol=1e-5, atol=1e-8)
    assert weak.spread < fitted(features, labels, penalty=0.1).spread < strong.spread


def test_scores_of_all_classes_sum_to_1(rng):
    """One-hot labels do, and so does every linear fit of them."""
    features, labels = made_up(rng)
    found = fitted(features, labels)
    np.testing.assert_allclose((features @ found.weight + found.bias).sum(axis=1), 1)


def test_units_and_origin_of_the_features_change_nothing(rng):
    features, labels = made_up(rng)
    moved = features * [1, 10, 1e-3, 1e4] + [0, 5, -1, 300]
    one, two = (f @ r.weight + r.bias for f, r in (
        (features, fitted(features, labels)), (moved, fitted(moved, labels)),
    ))  # fmt: skip
    np.testing.assert_allclose(two, one, rtol=1e-6, atol=1e-8)


def test_a_feature_that_does_not_vary_has_no_weight(rng):
    features, labels = made_up(rng)
    padded = np.column_stack([features, np.full(60, 7.0), np.zeros(60)])
    found, plain = fitted(padded, labels), fitted(features, labels)
    assert not found.weight[4:].any()
    np.testing.assert_allclose(found.weight[:4], plain.weight, rtol=1e-9)
    np.testing.assert_allclose(found.bias, plain.bias, rtol=1e-9, atol=1e-12)


def test_a_class_without_instance_is_not_known(rng):
    features, labels = made_up(rng)
    for by_class in (False, True):
        found = fitted(features, labels, classes=5, by_class=by_class)
        plain = fitted(features, labels, by_class=by_class)
        assert found.known.tolist() == [True, True, True, False, False]
        np.testing.assert_allclose(found.weight[:, :3], plain.weight, rtol=1e-9)
        assert found.spread == pytest.approx(plain.spread)
    # What a subtraction leaves of one is no instance either.
    sums = ridge_sums(features, labels, np.ones(60), 5, by_class=False)
    faked = RidgeSums(sums.counts + 1e-9, sums.features, sums.products)
    assert fit_ridge(faked, 0.1).known.tolist() == [True] * 3 + [False] * 2


def test_a_perfect_fit_has_a_likelihood():
    labels = np.arange(60) % 3
    found = fitted(np.eye(3)[labels], labels, penalty=1e-12)
    assert found.spread == LEAST_SPREAD

"""Which image an instance is from, and measures of what was judged."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trfjax.scores.images import (
    MEASURES,
    Judged,
    check_measure,
    image_index,
    resampled_tally,
    tally_of,
)
from trfjax.statistics.resamples import Resamples

few = settings(max_examples=30, deadline=None, derandomize=True, database=None)


@pytest.mark.parametrize(
    ("images", "shape", "expected"),
    [
        (None, (3,), [0, 1, 2]),
        (None, (2, 1, 2), [0, 0, 1, 1]),
        ([7, -3, 7], (3,), [1, 0, 1]),
        ([9, 5], (2, 1, 2), [1, 1, 0, 0]),
        ([[[4, 4]], [[2, 4]]], (2, 1, 2), [1, 1, 0, 1]),
        (np.array([200, 1, 200], np.uint8), (3,), [1, 0, 1]),
        (np.zeros(0, int), (0,), []),
    ],
)
def test_index_of_the_image_of_every_instance(images, shape, expected):
    assert image_index(images, shape).tolist() == expected


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (
            [0, 1],
            ValueError,
            r"images: shape \(2,\) does not fit labels of shape \(3,\)",
        ),
        ([[0], [1], [2]], ValueError, r"images: .* expected an id for every instance"),
        ([0.5, 1, 2], TypeError, "images: labels must be integers, got float"),
        (["a", "b", "c"], TypeError, r"images: dtype .* is not a real number type"),
    ],
)
def test_ids_that_do_not_fit_are_refused(images, error, message):
    with pytest.raises(error, match=message):
        image_index(images, (3,))


def made_up(seed, n=80, images=4, classes=3):
    rng = np.random.default_rng(seed)
    return (
        rng.integers(images, size=n), rng.integers(classes, size=n),
        rng.integers(classes, size=n), rng.integers(0, 3, size=n).astype(float),
        -rng.exponential(size=n),
    )  # fmt: skip


def measured(measure, labels, predictions, weights, likely):
    """Class after class, instance after instance."""
    if not weights.sum() > 0:
        return np.nan
    hit = labels == predictions
    if measure == "accuracy":
        return weights[hit].sum() / weights.sum()
    if measure == "log_likelihood":
        return weights @ likely / weights.sum()
    shares = []
    for c in range(3):
        held = (labels == c) & (weights > 0)
        if held.any():
            union = labels == c
            if measure == "miou":
                union = union | (predictions == c)
            shares.append(weights[hit & held].sum() / weights[union].sum())
    return np.mean(shares)


@few
@given(st.integers(0, 2**32 - 1), st.sampled_from(MEASURES))
def test_measures_of_resampled_images(seed, measure):
    image, labels, predictions, weights, likely = made_up(seed)
    tally = tally_of(image, labels, predictions, weights, likely, shape=(4, 3))
    rows = np.array([[1, 1, 1, 1], [3, 0, 1, 0], [0, 0, 2, 0], [0, 0, 0, 0]], float)
    found = tally.score(rows, measure)
    for row, value in zip(rows, found, strict=True):
        counts = weights * row[image]
        expected = measured(measure, labels, predictions, counts, likely)
        np.testing.assert_allclose(value, expected, rtol=1e-10)
    assert measure == "log_likelihood" or np.nanmax(found) <= 1


@few
@given(st.integers(0, 2**32 - 1))
def test_bounds_and_orders_of_the_measures(seed):
    """IoU counts what was taken for a class too, so it is never above its recall."""
    image, labels, predictions, weights, likely = made_up(seed)
    tally = tally_of(image, labels, predictions, weights + 1, likely, shape=(4, 3))
    one = np.ones((1, 4))
    balanced, accuracy, miou, likelihood = (tally.score(one, m)[0] for m in MEASURES)
    assert 0 <= miou <= balanced <= 1 and 0 <= accuracy <= 1 and likelihood <= 0
    np.testing.assert_allclose(tally.hits.sum(axis=0) <= tally.given.sum(axis=0), True)
    twice = [tally.score(2 * one, m)[0] for m in MEASURES]
    np.testing.assert_allclose(twice, [balanced, accuracy, miou, likelihood])
    names = np.array([2, 0, 1])
    again = tally_of(
        image, names[labels], names[predictions], weights + 1, likely, shape=(4, 3)
    )
    np.testing.assert_allclose(again.score(one, "balanced"), balanced)
    np.testing.assert_allclose(again.score(one, "miou"), miou)


def test_by_hand():
    """Two images: class 0 hit 2 of 3 times, class 1 once of 1; one 0 taken for 1."""
    tally = tally_of(
        np.array([0, 0, 1, 1]), np.array([0, 0, 0, 1]), np.array([0, 1, 0, 1]),
        np.ones(4), np.log([0.5, 0.25, 1.0, 0.5]), shape=(2, 2),
    )  # fmt: skip
    one = np.ones((1, 2))
    assert tally.score(one)[0] == pytest.approx((2 / 3 + 1) / 2)
    assert tally.score(one, "accuracy")[0] == pytest.approx(3 / 4)
    assert tally.score(one, "miou")[0] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert tally.score(one, "log_likelihood")[0] == pytest.approx(-np.log(2))
    # Without the second image nothing of class 1 was judged.
    assert tally.score(np.array([[1.0, 0]]))[0] == pytest.approx(1 / 2)


def test_a_judge_without_likelihoods(rng):
    image, labels, predictions, weights, _ = made_up(0)
    tally = tally_of(image, labels, predictions, weights, shape=(4, 3))
    assert not tally.log_likelihood.any()
    empty = (np.zeros(0, int),) * 3
    nothing = tally_of(*empty, np.zeros(0), shape=(4, 3))
    assert nothing.given.dtype == np.float64 and nothing.given.shape == (4, 3)
    for measure in MEASURES:
        assert np.isnan(nothing.score(np.ones((1, 4)), measure)).all()


def test_resampled_images_keep_what_was_fitted():
    image, labels, predictions, weights, likely = made_up(1)
    tally = tally_of(image, labels, predictions, weights, likely, shape=(4, 3))
    for measure in MEASURES:
        result = Judged(tally.score(np.ones((1, 4)), measure)[0], tally, measure)
        # Images 1, 3, 4 and 6 of seven have instances.
        places = np.array([1, 3, 4, 6])[image]
        resamples = Resamples.draw(7, 5, seed=0)
        found = resampled_tally(
            result, labels=labels, images=places, resamples=resamples, seed=0
        )
        expected = tally.score(resamples.rows[:, [1, 3, 4, 6]], measure)
        np.testing.assert_array_equal(found, expected)
        assert len(found) == 12


@pytest.mark.parametrize("measure", ["f1", "Accuracy", "", "dice"])
def test_an_unknown_measure_is_refused_with_those_there_are(measure):
    with pytest.raises(
        ValueError, match=f"measure: '{measure}' is none of balanced, acc"
    ):
        check_measure(measure)
    for known in MEASURES:
        check_measure(known)

"""The door of scores that need no labels."""

import numpy as np
import pytest

from trfjax.scores.energy import energy
from trfjax.scores.unlabelled import unlabelled_rows

ROWS = np.arange(12.0).reshape(6, 2)


@pytest.mark.parametrize("shape", [(6, 2), (1, 2, 3, 2), (3, 2, 1, 2)])
def test_without_labels_every_row_counts(shape):
    found = unlabelled_rows("values", ROWS.reshape(shape), weights=None)
    np.testing.assert_array_equal(found.features, ROWS)
    np.testing.assert_array_equal(found.weights, np.ones(6))
    assert found.num_classes == 1 and not np.asarray(found.labels).any()


@pytest.mark.parametrize("ignore", [255, 0, (0, 255), -1, (7, 3)])
def test_what_is_ignored_are_labels_not_rows(ignore):
    """Without labels there is nothing to ignore, whatever it is called."""
    found = unlabelled_rows("values", ROWS, weights=None, ignore=ignore)
    np.testing.assert_array_equal(found.weights, np.ones(6))


@pytest.mark.parametrize(
    ("labels", "ignore", "counted"),
    [
        ([0, 1, 255, 3, 255, 5], 255, [1, 1, 0, 1, 0, 1]),
        ([0, 1, 2, 0, 1, 2], (0, 2), [0, 1, 0, 0, 1, 0]),
        ([9, -1, 9, -1, 9, 9], -1, [1, 0, 1, 0, 1, 1]),
        ([0, 0, 255, 0, 0, 0], 7, [1, 1, 1, 1, 1, 1]),
        ([0, 1, 1, 0, 1, 1], 0, [0, 1, 1, 0, 1, 1]),
    ],
)
def test_of_labels_only_the_ignored_are_looked_at(labels, ignore, counted):
    rows = ROWS.copy()
    rows[np.array(counted) == 0] = np.nan  # ignored rows may hold anything
    if 0 not in counted:
        rows = ROWS
    found = unlabelled_rows("values", rows, weights=None, labels=labels, ignore=ignore)
    np.testing.assert_array_equal(found.weights, counted)
    assert np.isfinite(found.features).all()


def test_labels_of_every_width_and_shape():
    labels = np.array([0, 1, 255, 3, 255, 5])
    for kind in (np.uint8, np.int16, np.int32, np.int64):
        maps = labels.astype(kind).reshape(2, 1, 3)
        found = unlabelled_rows(
            "values", ROWS.reshape(2, 1, 3, 2), weights=None, labels=maps
        )
        np.testing.assert_array_equal(found.weights, [1, 1, 0, 1, 0, 1])


def test_weights_and_labels_together():
    found = unlabelled_rows(
        "values", ROWS, weights=np.arange(6), labels=[255, 255, 0, 0, 0, 0]
    )
    np.testing.assert_array_equal(found.weights, [0, 0, 2, 3, 4, 5])


NAN = np.where(ROWS == 5, np.nan, ROWS)


@pytest.mark.parametrize(
    ("values", "settings", "error", "message"),
    [
        (NAN, {}, ValueError, r"values: 1 values are NaN or infinite.*index \(2, 1\)"),
        (np.where(ROWS == 4, np.inf, ROWS), {}, ValueError, r"values: 1 .*\(2, 0\)"),
        (np.ones(6), {}, ValueError, r"values: expected \(n, d\) rows or .* \(6,\)"),
        (np.ones((2, 3, 2)), {}, ValueError, r"values: expected .* got shape \(2, 3,"),
        (np.ones((6, 0)), {}, ValueError, r"values: shape \(6, 0\) has no columns"),
        (np.ones((0, 2)), {}, ValueError, "labels: nothing is left to score"),
        (np.full((6, 2), "a"), {}, TypeError, r"values: dtype .* is not a real number"),
        (ROWS, {"labels": [0] * 5}, ValueError, r"labels: shape \(5,\) does not fit v"),
        (ROWS, {"labels": [255] * 6}, ValueError, r"labels: nothing .*\(ignore=255\)"),
        (ROWS, {"weights": np.ones(5)}, ValueError, "weights: 5 weights for 6 inst"),
        (ROWS, {"weights": -np.ones(6)}, ValueError, "weights: negative values"),
        (ROWS, {"weights": np.zeros(6)}, ValueError, "nothing is left .* weight 0"),
        (ROWS, {"weights": np.full(6, np.nan)}, ValueError, "weights: 6 values are N"),
    ],
)  # fmt: skip
def test_what_cannot_be_scored_is_refused(values, settings, error, message):
    with pytest.raises(error, match=message):
        unlabelled_rows("values", values, **{"weights": None, **settings})


@pytest.mark.parametrize("labels", [[0.5] * 6, ["a"] * 6])
def test_labels_that_are_no_ids_are_refused_by_name(labels):
    with pytest.raises(TypeError, match="labels: "):
        energy(ROWS, labels)

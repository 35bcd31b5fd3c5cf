"""The door of real-valued targets."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from trfjax.scores.values import valued_rows

ROWS = np.arange(12.0).reshape(6, 2)


@pytest.mark.parametrize(
    ("targets", "columns"),
    [
        (np.arange(6.0), np.arange(6.0)[:, None]),
        (np.arange(6), np.arange(6.0)[:, None]),  # integers are values too
        (np.arange(12.0).reshape(6, 2), np.arange(12.0).reshape(6, 2)),
        (np.arange(6.0)[:, None], np.arange(6.0)[:, None]),
    ],
)
def test_columns_of_rows(targets, columns):
    features, found, weights = valued_rows(ROWS, targets, None)
    np.testing.assert_array_equal(features, ROWS)
    np.testing.assert_array_equal(found, columns)
    np.testing.assert_array_equal(weights, np.ones(6))


def test_maps_are_rows():
    maps = ROWS.reshape(1, 2, 3, 2)
    one = valued_rows(maps, np.arange(6.0).reshape(1, 2, 3), None)
    three = valued_rows(maps, np.arange(18.0).reshape(1, 2, 3, 3), None)
    np.testing.assert_array_equal(one[0], ROWS)
    np.testing.assert_array_equal(one[1], np.arange(6.0)[:, None])
    np.testing.assert_array_equal(three[1], np.arange(18.0).reshape(6, 3))


def test_a_value_that_is_not_known_leaves_its_instance_out():
    targets = np.arange(12.0).reshape(6, 2)
    targets[1, 0] = targets[4] = np.nan
    features, columns, weights = valued_rows(ROWS, targets, np.arange(1.0, 7))
    np.testing.assert_array_equal(weights, [1, 0, 3, 4, 0, 6])
    held = [0, 2, 3, 5]
    np.testing.assert_array_equal(columns[jnp.array(held)], targets[held])
    assert not np.asarray(columns)[[1, 4]].any()  # zeros, not NaN
    assert not np.asarray(features)[[1, 4]].any()


def test_features_of_what_is_left_out_may_be_anything():
    rows, targets = ROWS.copy(), np.arange(6.0)
    rows[2], targets[2] = np.nan, np.nan
    features, _, weights = valued_rows(rows, targets, None)
    assert np.isfinite(features).all() and weights[2] == 0


def test_under_jit_all_count_unless_weights_say_otherwise():
    found = jax.jit(lambda t, w: valued_rows(ROWS, t, w)[1:])(
        jnp.arange(6.0), jnp.arange(6.0)
    )
    np.testing.assert_array_equal(found[0][:, 0], np.arange(6))
    np.testing.assert_array_equal(found[1], np.arange(6))
    slope = jax.grad(lambda t: valued_rows(ROWS, t, None)[1].sum())(jnp.arange(6.0))
    np.testing.assert_array_equal(slope, np.ones(6))


NAN = np.where(np.arange(12).reshape(6, 2) == 5, np.nan, 1.0)


@pytest.mark.parametrize(
    ("features", "targets", "weights", "error", "message"),
    [
        (ROWS, np.ones(5), None, ValueError, r"targets: shape \(5,\) does not fit .*6"),
        (ROWS, np.ones((6, 0)), None, ValueError, r"targets: shape \(6, 0\) does not"),
        (ROWS, np.ones((5, 2)), None, ValueError, r"targets: shape \(5, 2\)"),
        (ROWS, 1.0, None, ValueError, r"targets: shape \(\) does not fit features"),
        (ROWS, np.full(6, np.inf), None, ValueError, "targets: infinite .*by NaN"),
        (ROWS, np.full(6, -np.inf), None, ValueError, "targets: infinite .*by NaN"),
        (ROWS, np.full(6, np.nan), None, ValueError, "targets: nothing is left"),
        (ROWS, ["a"] * 6, None, TypeError, r"targets: dtype .* is not a real"),
        (NAN, np.ones(6), None, ValueError, r"features: 1 values are NaN .*\(2, 1\)"),
        (ROWS, np.ones(6), np.ones(5), ValueError, "weights: 5 weights for 6"),
        (ROWS, np.ones(6), -np.ones(6), ValueError, "weights: negative values"),
        (ROWS, np.ones(6), np.zeros(6), ValueError, "targets: nothing is left"),
        (ROWS.ravel(), np.ones(12), None, ValueError, r"features: expected \(n, d\)"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(features, targets, weights, error, message):
    with pytest.raises(error, match=message):
        valued_rows(features, targets, weights)

"""Instances drawn without replacement."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from trfjax.scores.otce.sampling import draw_problems

N, M = 30, 20


def side(n, seed=0, weights=None):
    rng = np.random.default_rng(seed)
    weights = np.ones(n) if weights is None else weights
    labels = rng.integers(3, size=n)
    parts = (rng.normal(size=(n, 2)), labels, weights, np.arange(n))
    return tuple(jnp.asarray(part) for part in parts)


def drawn(key=0, counts=(12, 8), repeats=3, **weights):
    return draw_problems(
        side(N, weights=weights.get("source")), side(M, 1, weights.get("target")),
        jax.random.key(key), counts=counts, repeats=repeats, classes=(3, 4),
    )  # fmt: skip


def rows_of(problems):
    """Which source rows were drawn, found by their features."""
    features = np.asarray(side(N)[0])
    gaps = np.abs(np.asarray(problems.source)[:, :, None] - features).sum(axis=-1)
    return gaps.argmin(axis=-1), gaps.min(axis=-1)


def test_every_draw_has_different_rows_that_were_given():
    problems, rows = drawn()
    source, gaps = rows_of(problems)
    assert not gaps.any()
    for indices, count in ((source, 12), (np.asarray(rows), 8)):
        assert indices.shape == (3, count)
        assert all(len(set(row)) == count for row in indices)
    assert len({tuple(sorted(row)) for row in source}) == 3


def test_a_row_keeps_its_label_and_features():
    problems, rows = drawn()
    x, y, *_ = side(M, 1)
    np.testing.assert_array_equal(problems.target, x[rows])
    np.testing.assert_array_equal(problems.target_labels, jax.nn.one_hot(y[rows], 4))
    labels = np.asarray(side(N)[1])[rows_of(problems)[0]]
    np.testing.assert_array_equal(np.asarray(problems.source_labels).argmax(2), labels)


def test_weights_sum_to_1():
    problems, _ = drawn()
    np.testing.assert_allclose(problems.source_weights, 1 / 12, rtol=1e-6)
    np.testing.assert_allclose(problems.target_weights, 1 / 8, rtol=1e-6)


def test_ignored_rows_are_drawn_last_and_weigh_nothing():
    weights = (np.arange(M) % 4 > 0).astype(float)  # 15 of 20
    _, rows = drawn(counts=(12, 15), target=weights)
    assert (weights[np.asarray(rows)] > 0).all()
    problems, rows = drawn(counts=(12, 18), target=weights)
    held = weights[np.asarray(rows)] > 0
    assert (held.sum(axis=1) == 15).all() and held[:, :15].all()
    expected = np.where(held, 1 / 15, 0)
    np.testing.assert_allclose(problems.target_weights, expected, rtol=1e-6)


def test_all_rows_are_a_permutation():
    _, rows = drawn(counts=(N, M), repeats=2)
    np.testing.assert_array_equal(np.sort(rows, axis=1), np.tile(np.arange(M), (2, 1)))
    assert (np.asarray(rows[0]) != np.asarray(rows[1])).any()


def test_the_key_decides_and_a_draw_stays_when_more_are_asked_for():
    one, same, other = (drawn(key)[1] for key in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert (np.asarray(one) != np.asarray(other)).any()
    more = drawn(repeats=5)[1]
    np.testing.assert_array_equal(more[:3], one)


def test_both_sides_are_drawn_apart():
    """Of equal sizes the same rows would be drawn by one key for both."""
    sides = side(N), side(N, 1)
    problems, rows = draw_problems(
        *sides, jax.random.key(0), counts=(12, 12), repeats=3, classes=(3, 4)
    )
    assert (rows_of(problems)[0] != np.asarray(rows)).any()


@pytest.mark.parametrize("count", [5, 15])
def test_every_row_is_as_likely_as_any_other(count):
    """A thousand draws: each row in count / n of them, within five deviations."""
    _, rows = drawn(counts=(1, count), repeats=1000)
    share = np.bincount(np.asarray(rows).ravel(), minlength=M) / 1000
    wanted = count / M
    deviation = np.sqrt(wanted * (1 - wanted) / 1000)
    assert np.abs(share - wanted).max() < 5 * deviation
    # Nor does the place in a draw depend on the place in the data.
    first = np.asarray(rows)[:, 0].mean()
    assert abs(first - (M - 1) / 2) < 5 * M / np.sqrt(12 * 1000)

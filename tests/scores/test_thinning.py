import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trfjax.arrays import labelled_rows
from trfjax.scores.thinning import check_limit, thinned

few = settings(max_examples=40, deadline=None, derandomize=True, database=None)


def rows_of(n, weights=None):
    features = np.arange(2.0 * n).reshape(n, 2)
    return labelled_rows(features, np.arange(n) % 3, num_classes=3, weights=weights)


@few
@given(st.sampled_from([1, 4, 11, 40]), st.sampled_from([2, 3, 7, 50]))
def test_at_most_so_many_evenly_spaced_from_the_first_to_the_last(n, limit):
    found, index = thinned(rows_of(n), limit)
    assert len(index) == min(n, limit) == len(found.labels)
    assert (np.diff(index) > 0).all()
    assert index[0] == 0 and index[-1] == n - 1
    gaps = np.diff(index)
    assert not len(gaps) or np.ptp(gaps) <= 1
    np.testing.assert_array_equal(found.features[:, 0], 2 * index)
    np.testing.assert_array_equal(found.labels, index % 3)


@few
@given(st.lists(st.sampled_from([0.0, 1.0, 2.5]), min_size=11, max_size=11))
def test_what_counts_for_nothing_takes_no_place(weights):
    weights, limit = np.array([*weights, 1.0]), 5
    found, index = thinned(rows_of(len(weights), weights), limit)
    assert (weights[index] > 0).all()
    assert len(index) == min(limit, int((weights > 0).sum()))
    np.testing.assert_array_equal(found.weights, weights[index].astype(np.float32))


def test_under_jit_they_take_their_places():
    sizes = []

    @jax.jit
    def count(weights):
        rows = labelled_rows(
            jnp.ones((6, 2)), jnp.zeros(6, int), num_classes=1, weights=weights
        )
        found, index = thinned(rows, 3)
        sizes.append((len(found.labels), index.tolist()))
        return found.weights

    np.testing.assert_array_equal(count(jnp.array([0.0, 1, 1, 1, 1, 1])), [0, 1, 1])
    assert sizes == [(3, [0, 2, 5])]


@pytest.mark.parametrize("limit", [1, 0, -4])
def test_a_number_that_leaves_no_pair_is_refused(limit):
    with pytest.raises(ValueError, match=f"num_samples: {limit} is less than 2"):
        check_limit(limit)
    check_limit(2)

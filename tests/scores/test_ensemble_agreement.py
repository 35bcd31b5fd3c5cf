import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trfjax.scores.ensemble_agreement import ensemble_agreement

few = settings(max_examples=20, deadline=None, derandomize=True, database=None)


@few
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_it_is_the_share_of_equal_predictions(seed, weighted):
    rng = np.random.default_rng(seed)
    one, two = rng.dirichlet(np.ones(4), size=(2, 30))
    weights = rng.integers(0, 3, size=30) + (np.arange(30) == 0) if weighted else None
    total = hits = 0.0
    for i in range(30):
        w = 1 if weights is None else weights[i]
        total += w
        hits += w * (np.argmax(one[i]) == np.argmax(two[i]))
    found = float(ensemble_agreement(one, two, weights=weights))
    assert found == pytest.approx(hits / total, rel=1e-6)
    assert float(ensemble_agreement(two, one, weights=weights)) == found  # symmetric
    assert float(ensemble_agreement(one, one, weights=weights)) == 1


def test_maps_and_the_order_of_classes(rng):
    one, two = rng.dirichlet(np.ones(4), size=(2, 24))
    found = float(ensemble_agreement(one, two))
    shape = (2, 3, 4, 4)
    assert float(ensemble_agreement(one.reshape(shape), two.reshape(shape))) == found
    order = rng.permutation(4)
    assert float(ensemble_agreement(one[:, order], two[:, order])) == found


def test_ties_go_to_the_first_class():
    even, sure = np.full((2, 3), 1 / 3), np.eye(3)[[0, 1]]
    assert float(ensemble_agreement(even, sure)) == 0.5


def test_the_best_of_many_is_near_the_crowd(rng):
    """Candidates that err at random: the crowd errs least, so agreement is accuracy."""
    labels = rng.integers(3, size=2000)
    errors = (0.05, 0.2, 0.4)
    candidates = []
    for error in errors:
        wrong = rng.random(2000) < error
        guess = np.where(wrong, (labels + rng.integers(1, 3, 2000)) % 3, labels)
        candidates.append(0.9 * np.eye(3)[guess] + 0.1 / 3)
    crowd = np.mean(candidates, axis=0)
    found = [float(ensemble_agreement(c, crowd)) for c in candidates]
    assert found == sorted(found, reverse=True) and found[0] > found[2] + 0.2


GOOD = np.full((2, 2), 0.5)


@pytest.mark.parametrize(
    ("probs", "crowd", "settings", "error", "message"),
    [
        (2 * GOOD, GOOD, {}, ValueError, "probs: row 0 is not a .*Pass a softmax"),
        (GOOD, [[0.5, 0.5], [2, -1]], {}, ValueError, "ensemble_probs: row 1 is not a"),
        (GOOD, np.full((3, 2), 0.5), {}, ValueError, r"ensemble_probs: \(3, 2\) dif"),
        (GOOD, np.full((2, 4), 0.25), {}, ValueError, "candidates need the same cl"),
        ([[np.nan, 1]] * 2, GOOD, {}, ValueError, r"probs: 2 values are NaN"),
        (GOOD, [["a", "b"]] * 2, {}, TypeError, "ensemble_probs: dtype"),
        (GOOD, GOOD, {"weights": [1.0]}, ValueError, "weights: 1 weights for 2"),
        (GOOD, GOOD, {"weights": [-1.0, 1]}, ValueError, "weights: negative values"),
        (GOOD, GOOD, {"weights": [0, 0]}, ValueError, "nothing is left to score"),
    ],
)  # fmt: skip
def test_what_are_no_probabilities_is_refused(probs, crowd, settings, error, message):
    with pytest.raises(error, match=message):
        ensemble_agreement(probs, crowd, **settings)

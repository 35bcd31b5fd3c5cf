import dataclasses

import numpy as np
import pytest
from scipy.stats import t as student

from trfjax.ranking.history import History, centred_by, read_columns

ROWS = {"source": ["a", "b"], "target": ["new", "new"], "leep": [-1.0, -2.0]}


def history(**changes):
    """Two known sources, three known targets; estimates without an error."""
    return dataclasses.replace(
        History(
            scores=("leep",),
            measured="miou",
            sources=("a", "b"),
            targets=("t", "u", "v"),
            centred=True,
            scale=np.array([2.0]),
            estimates=np.array([0.5, 0.4, 0.1, -0.1, 0.2, 0.0, -0.2]),
            covariance=np.zeros((7, 7)),
            source_variance=0.01,
            target_variance=0.04,
            residual_variance=0.0025,
            rows=6,
        ),
        **changes,
    )


def test_a_prediction_by_hand():
    found = history().predict(ROWS)
    # Centred scores are 0.5 and -0.5, in units of 2: 0.25 x 0.4 to either side.
    np.testing.assert_allclose(found.mean, [0.5 + 0.1 + 0.1, 0.5 - 0.1 - 0.1])
    # A new target: its variance, and that of one measurement, with 2 degrees.
    reach = student.ppf(0.95, 2) * np.sqrt(0.04 + 0.0025)
    np.testing.assert_allclose(found.high - found.mean, reach)
    np.testing.assert_allclose(found.mean - found.low, reach)


def test_a_known_target_has_its_own_effect():
    found = history().predict(ROWS | {"target": ["t", "t"]})
    np.testing.assert_allclose(found.mean, [0.9, 0.5])
    reach = student.ppf(0.95, 2) * 0.05
    np.testing.assert_allclose(found.high - found.mean, reach)


def test_a_new_source_is_less_certain_and_has_no_effect():
    mean, covariance = history().joint(ROWS | {"source": ["z", "b"]})
    np.testing.assert_allclose(mean, [0.6, 0.3])
    np.testing.assert_allclose(covariance, [[0.0525, 0.04], [0.04, 0.0425]])


def test_the_effect_of_the_target_does_not_move_who_is_best():
    narrow, wide = (
        history(target_variance=v).probability_best(ROWS) for v in (0.0, 100.0)
    )
    assert narrow.sum() == pytest.approx(1)
    np.testing.assert_allclose(narrow, wide, atol=0.02)  # 20,000 draws
    # Their difference is t-distributed around 0.4 with scale sqrt(2) x 0.05.
    expected = student.cdf(0.4 / (0.05 * np.sqrt(2)), 2)
    assert narrow[0] == pytest.approx(expected, abs=0.01)


def test_within_a_point_of_the_best():
    close = history(estimates=np.zeros(7), residual_variance=1e-6)
    assert close.probability_best(ROWS, within=0.05).min() > 0.95
    assert close.probability_best(ROWS).sum() == pytest.approx(1)


def test_every_target_has_a_best():
    rows = {
        "source": ["a", "b", "a", "b"], "target": ["x", "x", "t", "t"],
        "leep": [0.0, 0.0, 0.0, 5.0],
    }  # fmt: skip
    found = history().probability_best(rows)
    assert found[:2].sum() == pytest.approx(1)
    assert found[2:].sum() == pytest.approx(1)


def test_scores_are_centred_by_target():
    target = np.array(["x", "y", "x"], object)
    found = centred_by(target, np.array([[1.0], [5.0], [3.0]]))
    np.testing.assert_array_equal(found, [[-1], [0], [1]])


def test_columns_are_read_by_name():
    source, target, scores = read_columns(ROWS | {"more": [1, 2]}, ("leep",))
    assert list(source) == ["a", "b"]
    assert list(target) == ["new", "new"]
    assert scores.shape == (2, 1)
    with pytest.raises(ValueError, match="no column 'logme'"):
        read_columns(ROWS, ("logme",))


@pytest.mark.parametrize("level", [0.0, 1.0, -0.5])
def test_levels_out_of_range(level):
    with pytest.raises(ValueError, match="level"):
        history().predict(ROWS, level=level)

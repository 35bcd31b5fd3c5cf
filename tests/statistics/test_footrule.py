import numpy as np
import pytest

from trfjax.statistics.footrule import footrule


def test_the_first_choice_counts_how_far_it_lies_down():
    measured = np.array([0.9, 0.8, 0.7, 0.6])
    scores = np.array([1.0, 4.0, 2.0, 3.0])  # order of choice: 1, 3, 2, 0
    places = [1, 2, 0, 3]  # |1 - 2|, |2 - 4|, |3 - 3|, |4 - 1|
    for top in range(1, 5):
        assert footrule(scores, measured, top) == sum(places[:top])
    assert footrule(measured, measured, 4) == 0
    assert footrule(-measured, measured, 4) == 8  # the largest for four


def test_ties_share_a_place():
    assert footrule(np.array([1.0, 1.0]), np.array([2.0, 1.0]), 1) == 0.5


def test_what_cannot_be_compared_is_told():
    with pytest.raises(ValueError, match="top: 3 of 2 sources"):
        footrule(np.ones(2), np.ones(2), 3)
    with pytest.raises(ValueError, match="shapes"):
        footrule(np.ones(2), np.ones(3), 1)
    with pytest.raises(ValueError, match="NaN"):
        footrule(np.array([1.0, np.nan]), np.ones(2), 1)

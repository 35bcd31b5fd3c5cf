import math

import numpy as np
import pytest

from trfjax.statistics.skill import ceiling, corrected_for_noise, skill


def test_the_ceiling_is_what_a_perfect_predictor_reaches(rng):
    """The truth itself predicts the mean of noisy repeats as well as anything can."""
    sources, noise = 200_000, 0.8
    truth = rng.normal(size=sources)
    for repeats in (1, 2, 5):
        drawn = truth + noise * rng.normal(size=(repeats + 2, sources))
        agreement = np.corrcoef(drawn[:2])[0, 1]
        reached = np.corrcoef(truth, drawn[2:].mean(axis=0))[0, 1]
        # Four standard errors of two correlations of this many sources.
        assert ceiling(agreement, repeats) == pytest.approx(reached, abs=0.012)


@pytest.mark.parametrize(
    ("agreement", "repeats", "expected"),
    [(0.81, 1, 0.9), (1.0, 3, 1.0), (0.5, 2, math.sqrt(2 / 3)), (0.25, 1, 0.5)],
)
def test_ceilings_by_hand(agreement, repeats, expected):
    assert ceiling(agreement, repeats) == pytest.approx(expected)


@pytest.mark.parametrize("agreement", [0.0, -0.3, math.nan])
def test_repeats_that_do_not_agree_leave_no_ceiling(agreement):
    assert math.isnan(ceiling(agreement))
    assert math.isnan(corrected_for_noise(0.5, ceiling(agreement)))
    assert math.isnan(skill(0.5, 0.2, ceiling(agreement)))


def test_correlations_free_of_noise():
    assert corrected_for_noise(0.45, 0.9) == pytest.approx(0.5)
    assert corrected_for_noise(-0.45, 0.9) == pytest.approx(-0.5)
    assert corrected_for_noise(0.95, 0.9) == 1


def test_skill_is_the_share_of_the_way_up():
    assert skill(0.9, 0.5, 0.9) == 1 and skill(0.5, 0.5, 0.9) == 0
    assert skill(0.7, 0.5, 0.9) == pytest.approx(0.5)
    assert skill(0.3, 0.5, 0.9) == pytest.approx(-0.5)
    assert math.isnan(skill(0.95, 0.95, 0.9))  # nothing is left to gain
    assert math.isnan(skill(0.5, 1 - 2e-16, 1.0))  # but roundoff

import numpy as np
import pytest

from trfjax.ranking.floor import judged
from trfjax.scores import SCORES
from trfjax.statistics.resamples import Resamples

COUNTS = np.array([[6, 0, 0], [0, 4, 0], [2, 2, 6]])
SHARE = np.array([8, 6, 6]) / 20
H = -np.sum(SHARE * np.log(SHARE))


def test_an_entropy_is_set_against_that_of_the_labels():
    found = judged(SCORES["nce"], {"score": -H / 4}, COUNTS, None)
    assert found["floor"] == pytest.approx(-H)
    assert found["explained"] == pytest.approx(0.75)
    assert found["limits"] == pytest.approx((-np.log(3), 0))
    assert found["explained_left_out"] == ()


def test_without_an_image_the_floor_is_that_of_the_others():
    resamples = Resamples.draw(3, 5, seed=0)
    scores = {"score": -0.5, "left_out": (-0.1, -0.2, 0.0)}
    found = judged(SCORES["nce"], scores, COUNTS, resamples)
    rest = (COUNTS.sum(0) - COUNTS) / (20 - COUNTS.sum(1, keepdims=True))
    logs = np.log(np.where(rest > 0, rest, 1))
    expected = 1 + np.array([-0.1, -0.2, 0.0]) / -np.sum(rest * logs, axis=1)
    np.testing.assert_allclose(found["explained_left_out"], expected)


@pytest.mark.parametrize("name", list(SCORES))
def test_the_floor_explains_nothing_and_perfection_all(name):
    spec = SCORES[name]
    if spec.explained is None or spec.floor is None:
        return
    assert spec.explained.share(spec.floor(SHARE), SHARE) <= 1e-9
    if spec.limits is not None and np.isfinite(spec.limits(SHARE)[1]):
        top = spec.limits(SHARE)[1]
        assert spec.explained.share(top, SHARE) == pytest.approx(1)


def test_the_evidence_is_set_against_the_best_constants():
    spec = SCORES["logme"]
    assert spec.explained is not None
    # A variance of the noise cut to a tenth is an R squared of 0.9, in every class.
    best = -0.5 * np.mean(np.log(2 * np.pi) + 1 + np.log(SHARE * (1 - SHARE) / 10))
    assert spec.explained.share(best, SHARE) == pytest.approx(0.9)


def test_a_score_without_a_floor_has_none():
    assert judged(SCORES["ccfv"], {"score": 1.0}, COUNTS, None) == {}

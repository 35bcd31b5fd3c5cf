import numpy as np
import pytest
from scipy.stats import norm

from trfjax.studies.select.race import (
    Beliefs,
    Schedule,
    believed,
    schedule,
    standing,
)

STEPS = np.array([8.0, 15.0, 30.0, 60.0])


def test_scores_stand_by_their_ranks():
    found = standing(np.array([10.0, -3.0, np.nan, 0.5]))
    np.testing.assert_allclose(found, norm.ppf([5 / 6, 1 / 6, 0.5, 0.5]), atol=1e-12)
    assert not standing(np.full(3, np.nan)).any()
    assert not standing(np.ones(4)).any()


def test_two_normal_distributions_are_combined_by_precision():
    """By hand: three sources, one stage, no prior worth anything."""
    values, errors = np.array([[0.5], [0.6], [0.7]]), np.array([0.1, 0.0, 0.1])
    found = believed(np.zeros(3), values, errors, STEPS[:1], total=60)
    walk = 0.1**2 / 60 * 52  # spread^2 / total, for the steps that are left
    seen = walk + errors**2
    precision = 1 / 0.1**2 + 1 / np.maximum(seen, walk + 1e-12)
    expected = (0.6 / 0.1**2 + values[:, 0] / (seen + 1e-12)) / precision
    np.testing.assert_allclose(found.mean, expected, rtol=1e-6)
    np.testing.assert_allclose(found.variance, 1 / precision, rtol=1e-6)


def test_a_prior_that_misleads_is_dropped_after_one_stage():
    values = np.array([[0.5], [0.55], [0.6], [0.7]])
    right = believed(standing(values[:, 0]), values, np.zeros(4), STEPS[:1], total=60)
    wrong = believed(standing(-values[:, 0]), values, np.zeros(4), STEPS[:1], total=60)
    none = believed(np.zeros(4), values, np.zeros(4), STEPS[:1], total=60)
    np.testing.assert_allclose(wrong.mean, none.mean)
    assert right.mean[3] > none.mean[3] and right.probability_best()[3] > 0.5
    assert wrong.mean.argmax() == 3


def test_a_source_that_stayed_behind_is_taken_to_grow_as_the_others_did():
    values = np.array([[0.5, 0.7], [0.4, 0.6], [0.45, np.nan]])
    found = believed(np.zeros(3), values, np.full(3, 1e-3), STEPS[:2], total=60)
    assert found.mean[1] < found.mean[2] < found.mean[0]
    assert found.mean[2] == pytest.approx(0.65, abs=0.01)


def test_a_source_that_never_ran_is_believed_by_its_score():
    values = np.array([[0.5], [0.6], [0.7], [np.nan]])
    prior = np.array([-1.0, 0.0, 1.0, -2.0])
    found = believed(prior, values, np.zeros(4), STEPS[:1], total=60)
    assert found.mean[3] == pytest.approx(0.6 - 0.5 * 0.1 * 2)
    assert found.variance[3] == pytest.approx(0.1**2 * 0.75)
    assert (found.variance[:3] < found.variance[3]).all()


def test_the_end_is_surer_than_the_beginning():
    rng = np.random.default_rng(0)
    ends = rng.normal(0.6, 0.05, 6)
    values = ends[:, None] + 0.02 * rng.normal(size=(6, 4)) * np.array([3, 2, 1, 0])
    zero = np.zeros(6)
    found = [
        believed(zero, values[:, :k], zero, STEPS[:k], total=60) for k in (1, 2, 3, 4)
    ]
    assert found[-1].probability_best().max() > 0.99
    assert found[-1].expected_loss() < found[0].expected_loss()


def test_probabilities_of_two_are_known():
    beliefs = Beliefs(np.array([0.0, 1.0]), np.array([1.0, 1.0]))
    chance = norm.cdf(1 / np.sqrt(2))
    # Four standard errors of 20,000 draws.
    assert beliefs.probability_best()[1] == pytest.approx(chance, abs=0.013)
    d = 1 / np.sqrt(2)
    loss = np.sqrt(2) * (norm.pdf(d) - d * norm.cdf(-d))  # E max(x0 - x1, 0)
    assert beliefs.expected_loss() == pytest.approx(loss, abs=0.015)


def test_the_widest_race_a_budget_allows():
    whole = schedule(4, 60, folds=2, budget=480)
    assert whole == Schedule((8, 15, 30, 60), (4, 4, 4, 4))
    assert whole.cost(2) == 480
    half = schedule(8, 60, folds=2, budget=400)
    assert half.sources == (8, 4, 2, 1)
    assert half.cost(2) == 2 * (8 * 8 + 4 * 7 + 2 * 15 + 1 * 30) <= 400
    few = schedule(8, 60, folds=2, budget=200)
    assert few.sources[0] < 8 and few.cost(2) <= 200
    assert schedule(8, 60, folds=2, budget=50) is None


@pytest.mark.parametrize("budget", [150, 300, 600, 1500])
def test_no_budget_is_overdrawn(budget):
    for sources in (2, 5, 12):
        found = schedule(sources, 60, folds=3, budget=budget)
        if found is not None:
            assert found.cost(3) <= budget
            assert list(found.sources) == sorted(found.sources, reverse=True)


def test_a_race_beats_its_scores_where_they_mislead():
    """On curves drawn by lot: what the choice loses with good, no and bad scores."""
    rng, lost = np.random.default_rng(0), {"good": [], "none": [], "bad": []}
    plan = schedule(12, 60, folds=2, budget=700)
    for _ in range(60):
        ends = rng.normal(0, 1, 12)
        noise = rng.normal(size=(12, 4)) * 0.6 * np.sqrt(1 - STEPS / 60)
        for kind, sign in (("good", 1), ("none", 0), ("bad", -1)):
            scores = sign * ends + rng.normal(size=12)
            best = raced(standing(scores), ends[:, None] + noise, plan)
            lost[kind].append(ends.max() - ends[best])
    mean = {kind: np.mean(values) for kind, values in lost.items()}
    assert mean["good"] <= mean["none"] + 0.05
    assert mean["bad"] < 0.2  # a random choice loses 1.6, the bad scores' first 2.65
    assert mean["good"] < 0.2


def raced(prior, curves, plan):
    """Return the choice of a race on known curves, as `select` runs it."""
    beliefs = Beliefs(prior, np.ones(len(prior)))
    alive = np.arange(len(prior))
    values = np.full((len(prior), 0), np.nan)
    for stage, count in enumerate(plan.sources):
        best = np.argsort(-beliefs.mean[alive], kind="stable")
        alive = np.sort(alive[best[:count]])
        column = np.full(len(prior), np.nan)
        column[alive] = curves[alive, stage]
        values = np.column_stack([values, column])
        beliefs = believed(
            prior, values, np.zeros(len(prior)), STEPS[: stage + 1], total=60
        )
    return int(np.argmax(beliefs.mean))

"""Races of tiny networks; compiling is all that costs."""

import jax
import numpy as np
import pytest

from tests.training.cases import NAMES, RECIPE, changed, network, squares
from trfjax import select
from trfjax.studies.select import heat
from trfjax.studies.select.heat import Heat, folds_of
from trfjax.training.train import train

QUICK = changed(steps=8)
SHOTS = squares(6, seed=5, name="target")
SCORES = {"good": 1.0, "fresh": 0.0, "other": 0.5}


@pytest.fixture(scope="module")
def sources():
    """One network that knows the task, and two that know nothing."""
    fresh = network()
    good = train(
        fresh.model, squares(16, seed=1), card=fresh.card,
        recipe=changed(steps=60, learning_rate=5e-2), progress=False,
    ).trained  # fmt: skip
    return {"fresh": fresh, "good": good, "other": network(seed=3)}


def test_folds_judge_every_shot_once():
    parts = folds_of(SHOTS, 3, seed=0)
    judged = [name for part in parts for name in part.judging.image_ids]
    assert sorted(judged) == sorted(SHOTS.image_ids)
    for part in parts:
        assert not set(part.judging.image_ids) & set(part.learned.image_ids)
        assert len(part.learned) == 4
    with pytest.raises(ValueError, match="folds: 7 of 6 images; 2 to 6 do"):
        folds_of(SHOTS, 7, seed=0)


@pytest.mark.parametrize("sign", [1, -1], ids=["right", "misleading"])
def test_the_best_is_found_whatever_the_scores_say(sources, sign):
    scores = {name: sign * score for name, score in SCORES.items()}
    found = select(sources, SHOTS, budget=56, scores=scores, recipe=QUICK, sure=1.0)
    assert found.best == "good" == found.race[0].source
    assert found.race[0].value > max(r.value for r in found.race[1:])
    assert sum(r.probability for r in found.race) == pytest.approx(1)
    assert found.steps <= 56 and found.all_steps == (2 * 3 + 1) * 8
    assert found.steps == 2 * sum(r.steps for r in found.race) + 8
    assert found.trained.card.class_names == NAMES
    assert "good: best by accuracy with probability" in str(found)


def test_a_clear_leader_ends_the_race(sources):
    found = select(sources, SHOTS, budget=56, scores=SCORES, recipe=QUICK, sure=0.4)
    assert found.steps < 56 and found.best == "good"


def test_the_smallest_budget_takes_the_word_of_the_scores(sources):
    found = select(sources, SHOTS, budget=8, scores=SCORES, recipe=QUICK)
    assert found.best == "good" and found.steps == 8
    assert np.isnan(found.expected_loss)
    assert all(r.steps == 0 and np.isnan(r.value) for r in found.race)


def test_a_race_goes_on_where_it_stood(sources, tmp_path, monkeypatch):
    """Killed after any stage: the same values, and no step is done twice."""
    settings = {"budget": 56, "scores": SCORES, "recipe": QUICK, "sure": 1.0}
    whole = select(sources, SHOTS, **settings)
    steps, run, left = [], heat.run, [0]

    def counted(*args, **options):
        for found in run(*args, **options):
            steps.append(1)
            yield found

    save = heat.save_state

    def killed(*args, **options):
        save(*args, **options)
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(heat, "run", counted)
    monkeypatch.setattr(heat, "save_state", killed)
    for count in (3, 5, 4):
        left[0] = count
        with pytest.raises(KeyboardInterrupt):
            select(sources, SHOTS, out=tmp_path, **settings)
    left[0] = -1
    found = select(sources, SHOTS, out=tmp_path, **settings)
    assert repr(found.race) == repr(whole.race) and found.best == whole.best
    assert len(steps) == whole.steps - QUICK.steps
    a, b = (jax.tree.leaves(r.trained.model.params) for r in (whole, found))
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_a_state_that_is_ahead_of_its_records_is_not_taken_for_less(sources, tmp_path):
    parts = folds_of(SHOTS, 2, seed=0)
    first = Heat("good", sources["good"], parts, QUICK, tmp_path)
    one, two = first.advance(2, "miou"), first.advance(6, "miou")
    for record in (tmp_path / "race").glob("*.json"):
        record.unlink()
    again = Heat("good", sources["good"], parts, QUICK, tmp_path)
    np.testing.assert_array_equal(again.advance(2, "miou"), one)
    np.testing.assert_array_equal(again.advance(6, "miou"), two)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"budget": 7}, "budget: 7 steps are less than one run of 8"),
        ({"measured": "dice"}, "measured: unknown 'dice'; available: log_likelihood"),
        ({"sure": 0.0}, "sure: 0.0 is not above 0"),
        ({"scores": {"good": 1.0}}, "scores: none for 'fresh'"),
        ({"folds": 1}, "folds: 1 of 6 images"),
    ],
)
def test_what_cannot_be(sources, changes, words):
    settings = {"budget": 56, "scores": SCORES, "recipe": QUICK} | changes
    with pytest.raises(ValueError, match=words):
        select(sources, SHOTS, **settings)
    with pytest.raises(ValueError, match="sources: none given"):
        select({}, SHOTS, budget=56, recipe=RECIPE)

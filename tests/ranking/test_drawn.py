"""Cells of saved features: on drawn pixels and on all of them, by the score itself."""

import dataclasses

import numpy as np
import pytest

from tests.ranking.saved import features, plan
from trfjax.ranking.drawn import NOTHING, class_indices, score_drawn
from trfjax.ranking.sources import SavedSource, Seen, Source
from trfjax.ranking.whole import score_whole
from trfjax.scores import SCORES
from trfjax.statistics.resamples import Resamples

RESAMPLES = Resamples.draw(3, 5, seed=0)


def seen(given, **changes):
    candidate = SavedSource(
        "mine", **{"target": features(0), "source": features(1), **changes}
    )
    return Seen(candidate, None, given, {})


def drawn(name, resamples=None, given=None, **changes):
    given = given or plan(name, pixels=200)
    return score_drawn(SCORES[name], seen(given, **changes), given, resamples)


@pytest.mark.filterwarnings("ignore::trfjax.errors.ScoreWarning")
@pytest.mark.parametrize("name", ["leep", "gbc", "h_score", "energy", "knn", "parc"])
def test_the_score_is_that_of_its_function(name):
    target, spec = features(0), SCORES[name]
    arrays = {
        "target_probs": target.space("probs"), "target_logits": target.space("logits"),
        "target_features": target.space("penultimate"), "target_images": target.image,
    }  # fmt: skip
    expected = float(spec(arrays, target.labels, num_classes=3, ignore=NOTHING))
    found = drawn(name, RESAMPLES)
    assert found["score"] == pytest.approx(expected, rel=1e-6)
    assert found["details"]["pixels"] == 90 and found["details"]["images"] == 3
    assert len(found["replicates"]) == 5 and len(found["left_out"]) == 3
    assert found["features"] == spec.space


@pytest.mark.filterwarnings("ignore::trfjax.errors.ScoreWarning")
@pytest.mark.parametrize("name", ["leep", "nce", "h_score", "logme", "lfc"])
def test_images_left_out_are_the_scores_without_them(name):
    target = features(0)
    arrays = {
        "target_probs": target.space("probs"), "target_predictions": target.predictions,
        "target_features": target.space("penultimate"),
    }  # fmt: skip
    left_out = drawn(name, RESAMPLES)["left_out"]
    for i in range(3):
        held = target.image != i
        rest = {key: value[held] for key, value in arrays.items()}
        expected = float(SCORES[name](rest, target.labels[held], num_classes=3))
        assert left_out[i] == pytest.approx(expected, rel=1e-3, abs=1e-5)


@pytest.mark.filterwarnings("ignore::trfjax.errors.ScoreWarning")
@pytest.mark.parametrize("name", ["nce", "h_score", "logme", "lfc", "nuclear_norm"])
def test_all_pixels_give_what_a_draw_of_all_of_them_gives(name):
    given = plan(name)
    whole = score_whole(SCORES[name], seen(given), given, RESAMPLES)
    some = drawn(name, RESAMPLES)
    assert whole["score"] == pytest.approx(some["score"], rel=1e-4)
    np.testing.assert_allclose(whole["left_out"], some["left_out"], rtol=1e-3)
    np.testing.assert_allclose(whole["replicates"], some["replicates"], rtol=1e-3)
    assert whole["details"]["pixels"] == 90 and whole["features"] == some["features"]


def test_no_resamples_no_interval():
    for found in (drawn("leep"), score_whole(
        SCORES["nce"], seen(plan("nce")), plan("nce"), None
    )):  # fmt: skip
        assert "replicates" not in found and "left_out" not in found


def test_two_sides():
    found = drawn("otce", RESAMPLES)
    target, source = features(0), features(1)
    expected = SCORES["otce"].run(
        {
            "source_features": source.space("probs"), "source_labels": source.labels,
            "target_features": target.space("probs"),
        },
        target.labels, num_samples=200, repeats=2, epsilon=0.1, key=0,
        num_source_classes=3, num_classes=3,
    )  # fmt: skip
    assert found["score"] == pytest.approx(float(expected.score), rel=1e-6)
    assert found["details"]["num_samples"] == [90, 90]
    with pytest.raises(ValueError, match="mine: no features of source images, which"):
        drawn("otce", source=None)


def test_ids_are_names_where_there_are_none():
    named = features()
    ids, count = class_indices(named)
    assert count == 3 and ids is named.labels
    gaps = dataclasses.replace(named, class_names=(), labels=10 * named.labels + 2)
    ids, count = class_indices(gaps)
    np.testing.assert_array_equal(ids, named.labels)
    assert count == 3
    two = dataclasses.replace(named, labels=np.minimum(named.labels, 1))
    assert class_indices(two)[1] == 3  # a class without a pixel is one nevertheless


def test_what_saved_features_do_not_know_is_said():
    spec = dataclasses.replace(SCORES["leep"], inputs=("network", "target_data"))
    given = plan("leep", pixels=200)
    with pytest.raises(
        ValueError, match="network: saved features know no network; giv"
    ):
        score_drawn(spec, seen(given), given, None)
    shallow = dataclasses.replace(
        features(), features={"probs": features().space("probs")}
    )
    with pytest.raises(
        ValueError, match=r"space: no 'logits' among these .*spaces=\('lo"
    ):
        drawn("energy", target=shallow)
    unknown = dataclasses.replace(features(), predictions=np.full(90, -1, np.int32))
    with pytest.raises(ValueError, match="predictions: these features know no source"):
        drawn("nce", target=unknown)


def test_a_model_stands_for_itself():
    with pytest.raises(TypeError, match="name: int is not a text"):
        Source(3, lambda images: images)
    assert Source(len).model is len and Source(len).name == ""

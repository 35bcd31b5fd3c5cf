import dataclasses

import numpy as np
import pytest

from tests.ranking.saved import features, plan
from trfjax.ranking.needs import (
    available,
    compressed,
    known_predictions,
    needed_spaces,
    needed_tables,
)


@pytest.mark.parametrize(
    ("metrics", "spaces"),
    [
        (("leep",), ("probs",)),
        (("otce", "leep", "nce"), ("probs",)),
        (("h_score",), ("probs", "penultimate")),
        (("energy",), ("probs", "logits")),
        (("gbc", "energy"), ("probs", "logits", "penultimate")),
    ],
)
def test_spaces_that_drawn_pixels_are_kept_in(metrics, spaces):
    assert needed_spaces(plan(*metrics, pixels=100)) == spaces


def test_scores_of_all_pixels_need_no_drawn_ones():
    assert needed_spaces(plan("h_score", "otce")) == ("probs",)


@pytest.mark.parametrize(
    ("metrics", "side", "atoms", "moments"),
    [
        (("otce",), "source", {"probs": 32}, ()),
        (("otce",), "target", {"probs": 32}, ()),
        (("leep",), "target", {"probs": 32}, ()),
        (("leep",), "source", {}, ("probs",)),  # counted on the way
        (("nce",), "target", {}, ("probs",)),
        (("h_score", "logme"), "target", {}, ("penultimate",)),
        (("h_score", "nuclear_norm"), "target", {}, ("penultimate", "probs")),
        (("otce", "h_score"), "target", {"probs": 32}, ("penultimate",)),
    ],
)
def test_what_all_pixels_of_a_side_are_compressed_into(metrics, side, atoms, moments):
    found = needed_tables(plan(*metrics), side)
    assert (found.atoms, found.moments, found.seed) == (atoms, moments, 0)


@pytest.mark.parametrize(
    ("held", "wanted", "expected"),
    [
        ({"probs", "logits", "penultimate"}, "penultimate", "penultimate"),
        ({"probs", "logits"}, "penultimate", "logits"),
        ({"probs"}, "penultimate", "probs"),
        ({"probs", "logits"}, "logits", "logits"),
        ({"probs"}, "levels", "levels"),  # nothing stands in for it
    ],
)
def test_the_next_best_space(held, wanted, expected):
    assert available(held, wanted) == expected


def test_features_that_know_no_head():
    found = features()
    np.testing.assert_array_equal(known_predictions(found), found.predictions)
    unknown = dataclasses.replace(found, predictions=np.full(90, -1, np.int32))
    with pytest.raises(ValueError, match=r"predictions: .*no source head; save lo"):
        known_predictions(unknown)
    with pytest.raises(ValueError, match="predictions: these features know no source"):
        compressed(unknown, plan("nce"), "target")
    assert compressed(unknown, plan("h_score"), "target").pixels == 90


def test_saved_features_are_compressed_for_the_scores_of_a_plan():
    found = features()
    small = compressed(found, plan("otce", "h_score", "nce"), "target")
    assert set(small.atoms) == {"probs"} and set(small.moments) == {"penultimate"}
    assert small.pixels == 90 and small.image_ids == found.image_ids
    np.testing.assert_array_equal(small.label_counts, found.label_counts)
    for i in range(3):
        for z in range(3):
            for c in range(3):
                pixels = (found.image == i) & (found.predictions == z)
                expected = (pixels & (found.labels == c)).sum()
                assert small.predictions[i, z, c] == expected
    rows = found.space("penultimate").astype(float)
    moments = small.moments["penultimate"]
    np.testing.assert_allclose(moments.products.sum(0), rows.T @ rows, rtol=1e-6)
    assert compressed(small, plan("otce"), "target") is small


def test_logits_stand_in_for_a_last_layer_that_was_not_saved():
    found = features()
    shallow = dataclasses.replace(found, features={"logits": found.space("logits")})
    small = compressed(shallow, plan("h_score"), "target")
    assert set(small.moments) == {"logits"}

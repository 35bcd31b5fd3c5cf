import numpy as np
import pytest

import trfjax
from tests.maps.made import evidence_by_hand, leep_by_hand, made, nce_by_hand
from trfjax.maps.pixel_map import pixel_map
from trfjax.scores.logme_pixels import (
    evidence_sums,
    fitted_evidence,
    pixel_evidence,
)
from trfjax.transport.problem import Settings

TIGHT = Settings(tolerance=1e-6, joint_tolerance=1e-7)


def test_the_mean_of_the_pixels_is_the_score(rng):
    case = made(rng)
    scores = {
        "leep": trfjax.leep(case.probs, case.labels),
        "nce": trfjax.nce(case.ids, case.labels),
        "logme": trfjax.logme(case.probs, case.labels),
        "otce": trfjax.otce(
            case.source, case.source_labels, case.probs, case.labels,
            key=0, settings=TIGHT,
        ).score,
    }  # fmt: skip
    for metric, expected in scores.items():
        found = pixel_map(*case.arrays(metric), metric=metric)
        assert found.values.shape == case.labels.shape
        assert (np.isnan(found.values) == (case.labels == 255)).all()
        mean = found.values[found.valid].mean()
        np.testing.assert_allclose(mean, expected, rtol=1e-5, err_msg=metric)
        np.testing.assert_allclose(found.score, mean, rtol=1e-12)


@pytest.mark.parametrize("metric", ["leep", "nce"])
def test_every_pixel_is_what_the_definition_says(rng, metric):
    case = made(rng)
    kept = case.labels != 255
    labels = case.labels[kept]
    if metric == "leep":
        expected = leep_by_hand(case.probs[kept], labels)
    else:
        expected = nce_by_hand(case.ids[kept], labels)
    found = pixel_map(*case.arrays(metric), metric=metric)
    np.testing.assert_allclose(found.values[kept], expected, rtol=1e-6)


def test_the_terms_of_logme_are_the_log_evidence(rng):
    """Against the dense covariance at the best alpha and beta, and beside it."""
    labels = np.repeat([0, 1], 15)
    features = rng.normal(size=(30, 3)) + 2 * labels[:, None] - 1
    found = fitted_evidence(evidence_sums(features, labels, num_classes=2))
    terms = pixel_evidence(found, features, labels)
    betas = 2 * 2 * found.pull[0]
    evidence = []
    for c, beta in enumerate(betas):
        y = (labels == c).astype(float)
        # m = (F'F + t I)^-1 F'y, so t follows from m and the normal equations.
        m = found.weights[0, c]
        t = np.dot(features.T @ (y - features @ m), m) / np.dot(m, m)
        at = evidence_by_hand(features, y, t * beta, beta)
        for a, b in ((1.1, 1), (0.9, 1), (1, 1.1), (1, 0.9)):
            assert evidence_by_hand(features, y, a * t * beta, b * beta) < at
        evidence.append(at)
    np.testing.assert_allclose(terms.sum(), np.mean(evidence), rtol=1e-9)


def test_an_absent_class_changes_nothing(rng):
    case = made(rng)
    for metric in ("leep", "nce", "logme"):
        maps = [
            pixel_map(*case.arrays(metric), metric=metric, num_classes=n)
            for n in (None, 7)
        ]
        # The search for t is in float32, where absent columns change the rounding.
        np.testing.assert_allclose(maps[0].values, maps[1].values, atol=1e-6)
        assert [c.label for c in maps[1].classes] == [0, 1, 2]


def test_classes_are_means_of_their_pixels_with_intervals(rng):
    case = made(rng, images=6)
    found = pixel_map(*case.arrays("leep"))
    for one in found.classes:
        held = case.labels == one.label
        assert one.pixels == held.sum() and one.interval.count == 6
        mean = found.values[held].mean()
        np.testing.assert_allclose(one.interval.value, mean, rtol=1e-12)
        assert one.interval.low < mean < one.interval.high
    weighted = sum(c.pixels * c.interval.value for c in found.classes)
    np.testing.assert_allclose(weighted / found.valid.sum(), found.score, rtol=1e-12)
    by_image = found.image_means()
    np.testing.assert_allclose(by_image[2], np.nanmean(found.values[2]), rtol=1e-12)


def test_a_plan_of_some_pixels_extends_to_all(rng):
    case = made(rng, images=4)
    whole = pixel_map(*case.arrays("otce"), metric="otce")
    drawn = pixel_map(*case.arrays("otce"), metric="otce", num_samples=300)
    assert (drawn.valid == whole.valid).all()
    # 300 of some 500 pixels a side: an entropy of 3 classes to a few hundredths.
    assert abs(drawn.score - whole.score) < 0.05
    both = [found.values[found.valid] for found in (drawn, whole)]
    assert np.corrcoef(both)[0, 1] > 0.95


def test_a_score_that_is_no_mean_is_named(rng):
    case = made(rng)
    with pytest.raises(ValueError, match="'h_score' is no mean over pixels"):
        pixel_map(None, None, case.probs, case.labels, metric="h_score")

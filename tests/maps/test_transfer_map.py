import dataclasses

import numpy as np
import pytest

import trfjax
from tests.maps.made import leep_by_hand, made, nce_by_hand
from trfjax.errors import ScoreWarning
from trfjax.maps.transfer_map import transfer_map
from trfjax.scores import SCORES

STRIDE = 5  # cells of 5 x 5 pixels in 3 images of 10 x 14, the last of 5 x 4


def cells(values, stride=STRIDE):
    """Yield the place of every cell and the pixels of it."""
    _, height, width = values.shape[:3]
    for row in range(-(-height // stride)):
        for column in range(-(-width // stride)):
            top, left = row * stride, column * stride
            yield (row, column), np.s_[:, top : top + stride, left : left + stride]


@pytest.mark.parametrize("metric", ["leep", "nce"])
def test_a_cell_is_the_score_of_its_pixels(rng, metric):
    case = made(rng)
    found = transfer_map(*case.arrays(metric), metric=metric, stride=STRIDE)
    assert found.values.shape == (2, 3) and found.valid.all()
    for place, part in cells(case.labels):
        kept = case.labels[part] != 255
        labels = case.labels[part][kept]
        if metric == "leep":
            expected = leep_by_hand(case.probs[part][kept], labels)
        else:
            expected = nce_by_hand(case.ids[part][kept], labels)
        np.testing.assert_allclose(found.values[place], expected.mean(), rtol=1e-6)
        assert found.counts[place] == len(labels)
        sums = [expected[np.nonzero(kept)[0] == i] for i in range(3)]
        gaps = [np.sum(s) - expected.mean() * len(s) for s in sums]
        error = np.sqrt(1.5 * np.sum(np.square(gaps))) / len(labels)
        np.testing.assert_allclose(found.standard_error[place], error, rtol=1e-6)


@pytest.mark.parametrize("metric", ["h_score", "logme", "max_h_score"])
def test_a_cell_is_what_the_function_says(rng, metric):
    case = made(rng)
    given = case.ids if metric == "max_h_score" else case.probs
    found = transfer_map(None, None, given, case.labels, metric=metric, stride=STRIDE)
    score = SCORES[metric].function
    # One place suffices for each kind of cell: whole, and at the far edges.
    for place, part in list(cells(case.labels))[::5]:
        expected = float(score(given[part], case.labels[part]))
        np.testing.assert_allclose(found.values[place], expected, rtol=2e-4)
        assert 0 < found.standard_error[place] < 1


def test_an_otce_cell_is_otce_of_its_pixels_and_the_source_pixels_of_that_place(rng):
    case = made(rng, height=8, width=8)
    source, labels = (np.repeat(np.repeat(part[:, :4, :4], 2, 1), 2, 2) for part in
                      (case.source, case.source_labels))  # fmt: skip
    found = transfer_map(
        source, labels, case.probs, case.labels, metric="otce", stride=4, epsilon=0.3
    )
    for place, part in cells(case.labels, 4):
        expected = trfjax.otce(
            source[part], labels[part], case.probs[part], case.labels[part],
            key=0, epsilon=0.3,
        )  # fmt: skip
        # Both stop at a label joint settled to 1e-4.
        np.testing.assert_allclose(found.values[place], expected.score, atol=2e-4)
    assert (found.standard_error > 0).all()


def test_the_jackknife_is_over_images(rng):
    case = made(rng)
    found = transfer_map(
        None, None, case.probs, case.labels, metric="h_score", stride=14
    )
    left = np.array(
        [
            float(
                trfjax.h_score(
                    np.delete(case.probs, i, 0), np.delete(case.labels, i, 0)
                )
            )
            for i in range(3)
        ]
    )
    expected = np.sqrt(2 / 3 * np.sum((left - np.mean(left)) ** 2))
    np.testing.assert_allclose(found.standard_error, [[expected]], rtol=2e-3)


def test_the_error_over_images_is_that_of_repeated_images(rng):
    """Its square is, in the mean, the variance of maps of other images."""
    values, squares = [], []
    for _ in range(60):
        found = transfer_map(
            *made(rng, images=12, height=4, width=4).arrays("leep"), stride=4
        )
        values.append(found.values[0, 0])
        squares.append(found.standard_error[0, 0] ** 2)
    # 60 draws tell a standard deviation to 9 %; three of those, and the held fit.
    assert np.sqrt(np.mean(squares)) == pytest.approx(np.std(values), rel=0.35)


def test_cells_with_too_few_pixels_have_no_value(rng):
    case = made(rng)
    labels = case.labels.copy()
    labels[:, :5, :5] = 255
    labels[:, 0, 0] = 0  # three pixels
    found = transfer_map(None, None, case.probs, labels, stride=STRIDE, min_pixels=4)
    assert np.isnan(found.values[0, 0]) and not found.valid[0, 0]
    assert found.counts[0, 0] == 3 and found.valid.sum() == 5
    few = transfer_map(None, None, case.probs, labels, stride=STRIDE, min_pixels=3)
    # A single class is certain; the probabilities sum to 1 up to float32.
    assert abs(few.values[0, 0]) < 1e-6
    assert few.valid.all()


def test_features_of_ignored_pixels_are_not_read(rng):
    case = made(rng)
    spoiled = np.where(case.labels[..., None] == 255, np.nan, case.probs)
    for metric in ("leep", "logme"):
        maps = [
            transfer_map(None, None, p, case.labels, metric=metric, stride=7)
            for p in (case.probs, spoiled)
        ]
        np.testing.assert_array_equal(maps[0].values, maps[1].values)


def test_one_image_of_several(rng):
    case = made(rng)
    found = transfer_map(None, None, case.probs, case.labels, stride=STRIDE, image=1,
                         num_classes=3, min_pixels=4)  # fmt: skip
    alone = transfer_map(None, None, case.probs[1:2], case.labels[1:2], stride=STRIDE,
                         min_pixels=4)  # fmt: skip
    np.testing.assert_allclose(found.values, alone.values, rtol=1e-12)
    assert np.isnan(found.standard_error).all()


def test_an_image_of_one_cell_is_the_score(rng):
    case = made(rng)
    found = transfer_map(None, None, case.probs, case.labels, stride=14)
    expected = float(trfjax.leep(case.probs, case.labels))
    np.testing.assert_allclose(found.values, [[expected]], rtol=1e-5)
    big = dataclasses.replace(found, values=np.array([[2.0]])).upsampled()
    assert big.shape == (10, 14) and (big == 2).all()
    assert "1 x 1 cells of 14 pixels, 1 defined" in str(found)


def test_class_names_do_not_matter(rng):
    case = made(rng)
    renamed = np.where(case.labels == 255, 255, 40 - 7 * case.labels)
    maps = [
        transfer_map(None, None, case.probs, labels, stride=STRIDE, metric="logme")
        for labels in (case.labels, renamed)
    ]
    np.testing.assert_allclose(maps[0].values, maps[1].values, rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"stride": 15}, "stride: 15 is larger than the maps of 10 x 14"),
        ({"stride": 0}, "stride: 0 is less than 1"),
        ({"min_pixels": 1000}, "no cell of 5 x 5 pixels has a value"),
        ({"image": 3}, "image: 3 is outside 0..2"),
        ({"metric": "transrate"}, "without a form in sums; those are otce, leep"),
        ({"metric": "otce"}, "pass the maps and labels of some source images"),
        ({"source_labels": 0}, "leep looks at the target alone"),
        ({"target_labels": np.zeros((3, 20, 28), int)}, "Resize the labels"),
        ({"target_features": np.zeros((10, 14, 4))}, "one size first"),
        ({"target_labels": np.full((3, 10, 14), 255)}, "nothing is left to score"),
        ({"target_features": np.ones((3, 10, 14, 4))}, "apply a softmax"),
        ({"metric": "logme", "target_features": np.full((3, 10, 14, 4), np.inf)},
         "pixels hold NaN or infinity"),
        ({"metric": "otce", "source_features": np.ones((1, 9, 9, 5)),
          "source_labels": np.zeros((1, 9, 9), int)}, "widths 5 and 4 differ"),
    ],
)  # fmt: skip
def test_bad_input(rng, change, words):
    case = made(rng)
    given = {
        "source_features": None, "source_labels": None,
        "target_features": case.probs, "target_labels": case.labels, "stride": STRIDE,
    }  # fmt: skip
    with pytest.raises(ValueError, match=words):
        transfer_map(**{**given, **change})


def test_maps_warn_of_nothing_they_handle(rng, recwarn):
    case = made(rng)
    transfer_map(None, None, case.probs, case.labels, metric="logme", stride=STRIDE)
    assert not [w for w in recwarn if issubclass(w.category, ScoreWarning)]

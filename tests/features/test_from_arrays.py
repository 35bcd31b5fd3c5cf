import numpy as np
import pytest

from trfjax.features.featureset import FeatureSet

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 3, (2, 4, 5))
LOGITS = RNG.normal(size=(2, 4, 5, 6))
FEATURES = RNG.normal(size=(2, 4, 5, 7))


def test_maps_become_rows_and_the_first_axis_is_the_image():
    labels = LABELS.copy()
    labels[0, 0, 0] = 255
    found = FeatureSet.from_arrays(labels, logits=LOGITS, penultimate=FEATURES)
    assert len(found) == 39
    assert found.space("probs").shape == (39, 6)
    np.testing.assert_array_equal(np.bincount(found.image), [19, 20])
    np.testing.assert_array_equal(found.predictions, LOGITS.argmax(axis=-1).ravel()[1:])
    np.testing.assert_allclose(
        found.space("penultimate"), FEATURES.reshape(-1, 7)[1:], rtol=1e-6
    )


def test_a_row_without_an_image_is_one():
    found = FeatureSet.from_arrays(LABELS.ravel(), penultimate=FEATURES.reshape(-1, 7))
    np.testing.assert_array_equal(found.image, np.arange(40))
    assert len(found.image_ids) == 40
    assert (found.predictions == -1).all()  # no head is known


def test_rows_of_named_images_and_classes():
    found = FeatureSet.from_arrays(
        [0, 1, 1], penultimate=np.eye(3), image=[0, 0, 1], class_names=("a", "b")
    )
    assert found.class_names == ("a", "b")
    np.testing.assert_array_equal(found.image, [0, 0, 1])


def test_levels_stand_side_by_side():
    wide = RNG.normal(size=(2, 4, 5, 100))
    found = FeatureSet.from_arrays(LABELS, levels={"near": FEATURES, "deep": wide})
    assert found.space("levels").shape == (40, 7 + 64)
    np.testing.assert_allclose(
        found.space("levels")[:, :7], FEATURES.reshape(-1, 7), rtol=1e-6
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "at least one of"),
        ({"probs": LOGITS}, "probs"),
        ({"penultimate": FEATURES[:1]}, "the first axes must agree"),
        ({"levels": {}}, "of none"),
        ({"levels": {"a": FEATURES, "b": FEATURES[:, :2]}}, "at the pixels of the"),
        ({"penultimate": FEATURES * np.nan}, "penultimate"),
    ],
)
def test_arrays_that_do_not_fit(given, message):
    with pytest.raises(ValueError, match=message):
        FeatureSet.from_arrays(LABELS, **given)


def test_one_hot_labels_are_told(rng):
    probs = rng.dirichlet(np.ones(3), 8)
    with pytest.raises(ValueError, match="one-hot: take their argmax"):
        FeatureSet.from_arrays(np.eye(3, dtype=int)[rng.integers(0, 3, 8)], probs=probs)

"""The data that laws are tried on: if it is wrong, so is every law."""

import numpy as np
import pytest

from trfjax.scores import SCORES
from trfjax.scores.example import SOURCE_SIDE, TARGET_SIDE, Case, example_case


@pytest.mark.parametrize(("n", "d", "classes"), [(48, 4, 3), (12, 30, 2), (1000, 2, 7)])
def test_shapes_and_kinds(n, d, classes):
    case = example_case(n, d, classes)
    assert set(case.arrays) == {*TARGET_SIDE, *SOURCE_SIDE}
    assert all(len(array) == n for array in case.arrays.values())
    assert case.arrays["target_features"].shape == (n, d)
    assert case.arrays["target_probs"].shape == (n, 4)
    np.testing.assert_array_equal(np.unique(case.labels), np.arange(classes))
    for side in ("source", "target"):
        probs = case.arrays[f"{side}_probs"]
        np.testing.assert_allclose(probs.sum(axis=1), 1, rtol=1e-6)
        predictions = case.arrays[f"{side}_predictions"]
        np.testing.assert_array_equal(predictions, probs.argmax(axis=1))
        assert not probs[:, -1].any()  # a source class that never occurs
        logits = case.arrays[f"{side}_logits"]
        np.testing.assert_array_equal(logits.argmax(axis=1), predictions)


def test_the_seed_decides():
    one, same, other = example_case(), example_case(), example_case(seed=1)
    for name, array in one.arrays.items():
        np.testing.assert_array_equal(array, same.arrays[name])
    assert (one.arrays["target_features"] != other.arrays["target_features"]).any()


def test_there_is_something_to_score():
    """Labels depend on the features, on both sides, by the same means."""
    case = example_case(2000)
    for side, labels in (
        ("target", case.labels),
        ("source", case.arrays["source_labels"]),
    ):
        rows = case.arrays[f"{side}_features"]
        means = np.stack([rows[labels == c].mean(axis=0) for c in range(3)])
        assert np.linalg.norm(means[:, None] - means, axis=-1).max() > 1
    # Some noise is left: no class is known for certain.
    assert -1.09 < float(SCORES["nce"](case.arrays, case.labels)) < -0.1


def test_rows_keep_what_belongs_together():
    case = example_case()
    index = np.array([5, 5, 0])
    found = case.rows(index)
    for name in TARGET_SIDE:
        np.testing.assert_array_equal(found.arrays[name], case.arrays[name][index])
    for name in SOURCE_SIDE:
        assert found.arrays[name] is case.arrays[name]
    np.testing.assert_array_equal(found.labels, case.labels[index])
    maps = case.rows(np.arange(48).reshape(2, 6, 4))
    assert maps.labels.shape == (2, 6, 4)
    assert maps.arrays["target_features"].shape == (2, 6, 4, 4)


def test_source_rows():
    case = example_case()
    turned = case.source_rows(lambda n: np.arange(n)[::-1])
    for name in SOURCE_SIDE:
        np.testing.assert_array_equal(turned.arrays[name], case.arrays[name][::-1])
    for name in TARGET_SIDE:
        assert turned.arrays[name] is case.arrays[name]
    alone = Case({"target_features": np.ones((2, 1))}, np.arange(2), 2)
    assert alone.source_rows(lambda n: np.arange(n)) is alone


def test_a_map_changes_only_what_is_named():
    case = example_case()
    found = case.map(lambda a: a + 1, "target_features", "no such array")
    np.testing.assert_array_equal(
        found.arrays["target_features"], case.arrays["target_features"] + 1
    )
    assert found.arrays["target_logits"] is case.arrays["target_logits"]
    assert case.labels is found.labels

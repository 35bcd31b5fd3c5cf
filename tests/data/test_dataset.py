import dataclasses

import numpy as np
import pytest

from trfjax.data import Dataset, LabelMap, load_dataset
from trfjax.data.dataset import spread
from trfjax.data.given_images import without_labels

NAMES = ("road", "sky", "car")


def numbered(groups):
    def read(position):
        image = np.full((2, 3, 3), position, np.uint8)
        return image, np.full((2, 3), position % 3, np.int32)

    ids = tuple(f"image{i}" for i in range(len(groups)))
    return Dataset("toy", LabelMap(NAMES), ids, read, tuple(groups), "print")


def values(data):
    return [int(example["image"][0, 0, 0]) for example in data]


def test_a_data_set_is_a_sequence():
    data = numbered("aabb")
    assert len(data) == 4 and data.num_classes == 3 and data.ignore == 255
    assert data.class_names == NAMES
    assert values(data) == [0, 1, 2, 3]
    assert data[-1]["image_id"] == "image3"
    with pytest.raises(IndexError, match="image 4 of 4"):
        data[4]


def test_selecting_twice_follows_the_first_selection():
    data = numbered("aabbcc")
    part = data.select([5, 3, 1]).select(np.array([2, 0]))
    assert values(part) == [1, 5]
    assert part.image_ids == ("image1", "image5") and part.groups == ("a", "c")


def test_a_selection_has_its_own_fingerprint():
    data = numbered("aabbcc")
    prints = {data.select(part).fingerprint for part in ([0, 1], [1, 0], [0, 1, 2])}
    assert len(prints) == 3 and data.fingerprint not in prints


def test_selections_that_mean_something_else_are_errors():
    data = numbered("aab")
    with pytest.raises(TypeError, match="flatnonzero"):
        data.select(np.array([True, False, True]))
    with pytest.raises(IndexError, match="image 3 of 3"):
        data.select([0, 3])


def test_ids_and_groups_must_match():
    with pytest.raises(ValueError, match="one per image"):
        Dataset("x", LabelMap(NAMES), ("a",), numbered("a").read, ("g", "h"), "")


def test_shots_are_drawn_once_each_and_depend_on_the_seed():
    data = numbered("a" * 30)
    shots = data.shots(10, seed=3)
    assert len(set(values(shots))) == 10
    assert values(shots) == values(data.shots(10, seed=3))
    assert values(shots) != values(data.shots(10, seed=4))
    for count, said in ((0, "less than 1"), (31, "30 images")):
        with pytest.raises(ValueError, match=said):
            data.shots(count, seed=0)


@pytest.mark.parametrize("seed", range(5))
def test_a_split_shares_no_group(seed):
    data = numbered("aaabbbbbccdddeef")
    train, test = data.split(0.5, seed=seed)
    assert not set(train.groups) & set(test.groups)
    assert sorted(values(train) + values(test)) == list(range(len(data)))
    assert len(train) and len(test)


def test_one_group_is_cut_at_one_point():
    train, test = numbered("a" * 10).split(0.7)
    assert values(train) == list(range(7)) and values(test) == [7, 8, 9]


def test_a_split_keeps_both_sides_even_when_asked_for_nearly_all():
    train, test = numbered("ab").split(0.99)
    assert len(train) == len(test) == 1


def test_impossible_splits():
    with pytest.raises(ValueError, match="between 0 and 1"):
        numbered("ab").split(1.0)
    with pytest.raises(ValueError, match="at least 2"):
        numbered("a").split()


def test_map_changes_what_is_read_and_its_fingerprint():
    data = numbered("ab")
    dark = data.map(lambda image, label: (image // 2, label), tag="dark")
    assert values(dark) == [0, 0] and values(data) == [0, 1]
    assert dark.fingerprint != data.fingerprint


@pytest.mark.parametrize(("n", "count"), [(10, 10), (10, 9), (1680, 12), (7, 1)])
def test_spread_takes_one_of_every_stretch(n, count):
    positions = spread(n, count)
    assert len(set(positions)) == count and positions == sorted(positions)
    assert all(
        i * n // count <= p < (i + 1) * n // count for i, p in enumerate(positions)
    )


def test_spread_does_not_follow_a_period():
    assert len({position % 7 for position in spread(1680, 12)}) >= 5


def test_a_label_map_renames_and_ignores():
    labels = LabelMap(NAMES, ids={7: 0, 23: 1, 26: 2, -1: 255, 0: 255})
    stored = np.array([[7, 23], [26, -1], [0, 255]])
    mapped = labels(stored)
    assert mapped.dtype == np.int32
    np.testing.assert_array_equal(mapped, [[0, 1], [2, 255], [255, 255]])
    stored = np.where(stored < 0, 0, stored).astype(np.uint8)
    np.testing.assert_array_equal(labels(stored), mapped)


@pytest.mark.parametrize("wrong", [-1, 3, 254, 70_000])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_an_unknown_id_is_an_error(wrong, dtype):
    stored = np.array([[0, 1], [wrong, 255]], dtype)
    with pytest.raises(ValueError, match=f"a.png: label id {wrong} is not"):
        LabelMap(NAMES)(stored, where="a.png")


def test_labels_of_no_pixels_and_of_the_wrong_kind():
    assert LabelMap(NAMES)(np.zeros((0, 4), np.uint8)).shape == (0, 4)
    assert LabelMap(NAMES)(np.array(2)).shape == ()
    with pytest.raises(TypeError, match="float"):
        LabelMap(NAMES)(np.zeros((2, 2)))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"names": ("a", "a")}, "repeat"),
        ({"names": NAMES, "ignore": 1}, "'sky'"),
        ({"names": NAMES, "ids": {0: 3}}, "0 -> 3"),
        ({"names": NAMES, "palette": ((0, 0, 0),)}, "1 colours for 3"),
    ],
)
def test_impossible_label_maps(fault, message):
    with pytest.raises(ValueError, match=message):
        LabelMap(**fault)


def test_where_the_unit_is_a_patient_shots_are_patients():
    data = dataclasses.replace(numbered("aabbbcd"), unit="patient")
    np.testing.assert_array_equal(data.units, [0, 0, 1, 1, 1, 2, 3])
    for seed in range(6):
        shots = data.shots(2, seed=seed)
        assert len(set(shots.groups)) == 2
        assert len(shots) == sum("aabbbcd".count(group) for group in set(shots.groups))
    with pytest.raises(ValueError, match="shots: 5 asked of toy, which has 4 patients"):
        data.shots(5, seed=0)
    np.testing.assert_array_equal(numbered("aab").units, [0, 1, 2])


def test_one_patient_is_not_split():
    images = numbered("aaaa")
    assert [len(part) for part in images.split(0.5)] == [2, 2]
    with pytest.raises(ValueError, match="at least 2 patients"):
        dataclasses.replace(images, unit="patient").split(0.5)


def test_slices_and_one_line():
    data = load_dataset("synthetic:arden", count=5, size=(32, 32))
    assert data[1:4].image_ids == data.image_ids[1:4]
    assert data[::-2].image_ids == data.image_ids[::-2] and len(data[5:]) == 0
    np.testing.assert_array_equal(data[2:][0]["image"], data[2]["image"])
    assert repr(data) == "<Dataset synthetic:arden: 5 images, 17 classes>"
    bare = without_labels(data)
    assert repr(bare) == "<Dataset synthetic:arden: 5 images, no labels>"

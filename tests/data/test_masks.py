"""Masks of two classes: any two ids, or an error that says what was found."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from PIL import Image

from trfjax.data import LabelMap, load_dataset
from trfjax.errors import DataError, DataWarning


def write(root, *masks, kind: Any = np.uint8):
    for folder in ("images", "labels"):
        (root / folder).mkdir(exist_ok=True)
    for i, values in enumerate(masks):
        mask = np.resize(np.asarray(values), (2, 4)).astype(kind)
        Image.fromarray(np.zeros((2, 4, 3), np.uint8)).save(root / f"images/{i}.png")
        Image.fromarray(mask).save(root / f"labels/{i}.png")


def ids(data):
    return [sorted(set(example["label"].ravel().tolist())) for example in data]


def load(root, classes: Sequence[str] | None = ("bg", "fg"), **options):
    return load_dataset("folders", root, classes=classes, **options)


@pytest.mark.parametrize("value", [255, 128, 254, 2, 77])
def test_two_ids_are_two_classes(tmp_path, value):
    write(tmp_path, [0], [0, value])
    with pytest.warns(DataWarning, match=f"masks of 0 and {value}.*{value} as 'fg'"):
        data = load(tmp_path)
    assert ids(data) == [[0], [0, 1]]


def test_sixteen_bits(tmp_path):
    write(tmp_path, [0, 65535], kind=np.uint16)
    with pytest.warns(DataWarning, match="masks of 0 and 65535"):
        assert ids(load(tmp_path)) == [[0, 1]]


@pytest.mark.parametrize(
    "masks", [[[0, 1]], [[0, 1, 255]], [[0, 255], [1]], [[1, 255]]]
)
def test_an_id_1_settles_that_ids_are_classes(tmp_path, masks):
    write(tmp_path, *masks)
    data = load(tmp_path)
    assert [sorted(m) for m in masks] == ids(data)


def test_an_id_found_later_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("trfjax.data.masks.LOOKED_AT", 1)
    write(tmp_path, [0, 255], [0, 1])
    with pytest.warns(DataWarning):
        data = load(tmp_path)
    with pytest.raises(DataError, match=r"1\.png: label id 1 is not in the label map"):
        ids(data)


def test_masks_of_many_values_are_refused(tmp_path):
    write(tmp_path, [0, 3, 128, 255])
    with pytest.raises(DataError, match=r"ids \[0, 3, 128, 255\].*as 0 and 1"):
        load(tmp_path)


def test_what_was_said_is_done(tmp_path):
    write(tmp_path, [0, 255])
    labels = LabelMap(("bg", "fg"), ids={0: 0, 255: 255})
    assert ids(load(tmp_path, labels=labels, classes=None)) == [[0, 255]]
    assert ids(load(tmp_path, classes=["a", "b", "c"])) == [[0, 255]]


def test_the_fingerprint_tells_masks_from_ids(tmp_path):
    write(tmp_path, [0, 255])
    with pytest.warns(DataWarning):
        masks = load(tmp_path)
    assert masks.fingerprint != load(tmp_path, classes=["bg", "fg", "x"]).fingerprint

import dataclasses
import gc
import warnings

import numpy as np
import pytest

from trfjax.errors import DataError
from trfjax.features.featureset import FeatureSet
from trfjax.features.head import softmax


@pytest.fixture
def found(rng):
    logits = rng.normal(size=(6, 3)).astype(np.float32)
    return FeatureSet(
        features={"logits": logits},
        labels=np.array([0, 1, 0, 1, 1, 0], np.int32),
        predictions=logits.argmax(axis=1).astype(np.int32),
        image=np.array([0, 0, 0, 1, 1, 1], np.int32),
        image_ids=("a", "b"),
        class_names=("road", "sky"),
        source_class_names=("x", "y", "z"),
        facts={"model": "net", "data": "city", "total_valid": 1000},
    )


def test_probabilities_come_from_logits(found):
    assert found.spaces == ("probs", "logits")
    np.testing.assert_allclose(found.space("probs").sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(found.space("probs"), softmax(found.space("logits")))
    with pytest.raises(ValueError, match=r"no 'penultimate' .* hold probs, logits"):
        found.space("penultimate")


def test_it_says_what_it_is(found):
    assert len(found) == 6
    assert str(found) == (
        "net on city: 6 of 1,000 rows from 2 images (logits 3); 2 classes present"
    )


def test_saving_and_loading(found, tmp_path):
    found.save(tmp_path / "a.safetensors")
    again = FeatureSet.load(tmp_path / "a.safetensors")
    for field in dataclasses.fields(FeatureSet):
        old, new = getattr(found, field.name), getattr(again, field.name)
        if field.name == "features":
            old, new = old["logits"], new["logits"]
        assert np.array_equal(old, new), field.name
    with pytest.raises(ValueError, match=r"must end in .safetensors"):
        found.save(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.array([0, 1, 0, 1, 1, 5], np.int32)}, "labels: .* 0..1"),
        ({"labels": np.zeros(5, np.int32)}, "expected .5, d"),
        ({"image": np.full(6, 2, np.int32)}, "image: .* 0..1"),
        ({"features": {"logits": np.full((6, 3), np.nan, np.float32)}}, "NaN"),
        ({"features": {"probs": np.full((6, 3), 2, np.float32)}}, "not a prob"),
        ({"features": {"other": np.ones((6, 3), np.float32)}}, "none of probs"),
        ({"features": {}}, "no space"),
        ({"ignore": 1}, "ignored pixels"),
    ],
)
def test_what_does_not_belong_together(found, change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(found, **change)


def test_foreign_files_are_read_without_their_ignored_rows(tmp_path, rng):
    logits = rng.normal(size=(5, 4))
    path = tmp_path / "a.npz"
    np.savez(path, features=logits, labels=np.array([3, 7, 255, 3, 7], np.uint8))
    found = FeatureSet.load(path, features="logits")
    assert found.labels.tolist() == [3, 7, 3, 7] and found.class_names == ()
    np.testing.assert_allclose(found.space("logits"), logits[[0, 1, 3, 4]], rtol=1e-6)
    assert found.source_class_names == ("0", "1", "2", "3")
    np.savez(path, features=rng.normal(size=(2, 9)), labels=np.array([0, 1]))
    found = FeatureSet.load(path)
    assert found.spaces == ("penultimate",) and (found.predictions == -1).all()


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda p: np.savez(p, features=np.array([{}]), labels=[0]), "object dtype"),
        (lambda p: np.savez(p, labels=[0]), "expected 'labels' and at least one"),
        (lambda p: np.savez(p, features=np.ones((3, 2)), labels=[0]), "first axes"),
        (lambda p: np.savez(p, features=[[np.inf]], labels=[0]), "infinite"),
        (lambda p: np.savez(p, features=[[1.0]], labels=[255]), "every label"),
        (lambda p: np.savez(p, features=[[1.0]], labels=[0.5]), "integers"),
    ],
)
def test_hostile_files(tmp_path, write, message):
    path = tmp_path / "bad.npz"
    write(path)
    with pytest.raises(DataError, match=message) as caught:
        FeatureSet.load(path)
    assert caught.value.path == path


def test_a_truncated_npz(tmp_path):
    path = tmp_path / "cut.npz"
    np.savez(path, features=np.ones((50, 4)), labels=np.zeros(50, int))
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(DataError, match="damaged") as caught:
        FeatureSet.load(path)
    with warnings.catch_warnings():  # NumPy leaves the file to the garbage collector
        warnings.simplefilter("ignore", ResourceWarning)
        del caught
        gc.collect()


def test_a_truncated_own_file(found, tmp_path):
    path = tmp_path / "a.safetensors"
    found.save(path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataError, match="damaged"):
        FeatureSet.load(path)


def test_saved_maps_are_rows(tmp_path, rng):
    maps = rng.normal(size=(2, 3, 4, 5)).astype(np.float32)
    labels = rng.integers(0, 3, (2, 3, 4))
    labels[0, 0] = 255
    np.savez(tmp_path / "f.npz", logits=maps, labels=labels)
    found = FeatureSet.load(tmp_path / "f.npz")
    np.testing.assert_array_equal(found.features["logits"], maps[labels != 255])
    np.testing.assert_array_equal(found.image, np.nonzero(labels != 255)[0])
    assert found.image_ids == ("0", "1")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"logits": np.zeros((2, 4, 4, 5)), "labels": np.zeros((2, 4))}, "expected id"),
        ({"logits": np.zeros((2, 5, 4, 4)), "labels": np.zeros((2, 4, 4))},
         "first axes"),
        ({"logits": np.zeros((6, 5, 1, 1)), "labels": np.zeros(6)}, r"\(n, d\) rows"),
        ({"logits": np.zeros(6), "labels": np.zeros(6)}, r"\(n, d\) rows"),
        ({"logits": np.zeros((6, 2)), "labels": np.array(3)}, "expected ids"),
        ({"labels": np.zeros(6)}, "holds the arrays"),
        ({"logits": np.zeros((6, 2)), "labels": np.arange(6) - 1}, "-1 looks like"),
        ({"logits": np.zeros((3, 2)), "labels": [0, 1, 250]}, "250 looks like"),
        ({"logits": np.zeros((3, 2)), "labels": [0, 1, 65535]}, "65535 looks like"),
        ({"logits": np.zeros((3, 2)), "labels": [0, 1, 2**31 - 2]}, "is above 65535"),
        ({"logits": np.zeros((3, 2)), "labels": [0, 1, 2**40]}, "is above 65535"),
        ({"logits": np.zeros((3, 2)), "labels": [0.5, 1, 2]}, "integers"),
        ({"logits": np.full((3, 2), np.nan), "labels": [0, 1, 2]}, "NaN"),
        ({"probs": np.ones((3, 2)), "labels": [0, 1, 2]}, "not a probability"),
        ({"logits": np.zeros((3, 2)), "labels": [255] * 3}, "every label is ignored"),
        ({"logits": np.zeros((3, 2)), "labels": [0, 1, 2], "image": [0, 1, 2**31 - 1]},
         "image"),
        ({"logits": np.zeros((3, 2)), "labels": [0, 1, 2], "image": [0, 1, 2**40]},
         "are no ids"),
        ({"logits": np.zeros((3, 2)), "labels": [0, 1, 2], "image": [0, -1, 1]},
         "image"),
        ({"logits": np.zeros((3, 2)), "labels": [0, 1, 2], "predictions": [0, 1, 9]},
         "predictions"),
        ({"logits": np.zeros((3, 2), complex), "labels": [0, 1, 2]}, "real number"),
        ({"logits": np.array([["a"]] * 3), "labels": [0, 1, 2]}, "real number"),
    ],
)  # fmt: skip
def test_saved_arrays_that_cannot_be_read(tmp_path, arrays, message):
    path = tmp_path / "f.npz"
    np.savez(path, **arrays)
    with pytest.raises(DataError, match=message) as caught:
        FeatureSet.load(path)
    assert caught.value.path == path

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from tests.training.cases import NAMES, network, squares
from trfjax.data import LabelMap
from trfjax.files import write_json
from trfjax.state import apply
from trfjax.training.evaluate import Evaluation, align, evaluate, normalisation


def test_worked_by_hand():
    confusion = np.array([[3, 1, 0], [0, 2, 0], [0, 0, 0]])
    got = Evaluation(("a", "b", "c"), confusion, -0.5, 1)
    np.testing.assert_allclose(got.class_iou, [3 / 4, 2 / 3, np.nan])
    np.testing.assert_allclose(got.class_accuracy, [3 / 4, 1, np.nan])
    assert got.accuracy == pytest.approx(5 / 6)
    assert got.miou == pytest.approx((3 / 4 + 2 / 3) / 2)
    assert got.mean_class_accuracy == pytest.approx(7 / 8)
    assert got.absent == ("c",) and got.pixels == 6


def test_a_class_only_guessed_is_absent_too():
    got = Evaluation(("a", "b"), np.array([[3, 1], [0, 0]]), -0.5, 1)
    np.testing.assert_allclose(got.class_iou, [3 / 4, np.nan])


def test_the_record_is_plain(tmp_path):
    got = Evaluation(("a", "b"), np.array([[3, 0], [0, 0]]), -0.5, 1).to_dict()
    assert got["classes"]["b"] == {"iou": None, "accuracy": None, "pixels": 0}
    write_json(tmp_path / "record.json", got)


def test_evaluate_equals_the_definition_at_any_batch_size():
    trained, data = network(), squares(5)
    mean, std = np.asarray(normalisation(trained.card))
    confusion, total = np.zeros((3, 3), np.int64), 0.0
    for example in data:
        x = (example["image"] / 255.0 - mean) / std
        logits = np.asarray(
            apply(trained.model, jnp.asarray(x, jnp.float32)[None]).logits
        )
        p = np.exp(logits[0].astype(float))
        p /= p.sum(axis=-1, keepdims=True)
        for y, row in zip(example["label"].ravel(), p.reshape(-1, 3), strict=True):
            if y != 255:
                confusion[y, row.argmax()] += 1
                total += np.log(row[y])
    for batch_size in (2, 8):
        got = evaluate(trained.model, trained.card, data, batch_size=batch_size)
        np.testing.assert_array_equal(got.confusion, confusion)
        np.testing.assert_allclose(got.log_likelihood, total / confusion.sum(), 1e-5)
        assert got.images == 5 and got.confusion.dtype == np.int64


def test_classes_are_matched_by_name():
    data = squares(names=("top", "left"))
    moved = align(data, NAMES)
    before, after = data[0]["label"], moved[0]["label"]
    table = np.full(256, 255)
    table[:2] = 2, 0
    np.testing.assert_array_equal(after, table[before])
    assert moved.class_names == NAMES and moved.ignore == 255
    assert moved.fingerprint != data.fingerprint
    assert align(squares(), NAMES).fingerprint == squares().fingerprint
    with pytest.raises(ValueError, match="'sky' is not one the network knows"):
        align(squares(names=("left", "sky")), NAMES)


def test_an_ignore_value_that_is_a_class_in_the_longer_list():
    data = squares(names=("top", "left"))
    read = data.read
    data = dataclasses.replace(
        data,
        labels=LabelMap(("top", "left"), ignore=2),
        read=lambda i: (read(i)[0], np.minimum(read(i)[1], 2)),
    )
    moved = align(data, NAMES)
    assert moved.ignore == -1 and set(np.unique(moved[0]["label"])) == {-1, 0, 2}


def test_bad_labels_and_nothing_to_evaluate():
    trained, data = network(), squares(2)
    ignored = data.map(lambda x, y: (x, np.full_like(y, 255)), tag="none")
    with pytest.raises(ValueError, match="all labels of its 2 images"):
        evaluate(trained.model, trained.card, ignored)
    wrong = data.map(lambda x, y: (x, np.full_like(y, 7)), tag="7")
    with pytest.raises(ValueError, match=r"label 7 is outside 0\.\.2"):
        evaluate(trained.model, trained.card, wrong)

import logging

import numpy as np
import pytest

from tests.features.toy import NAMES, colours, toy, trained
from trfjax.data import Dataset, LabelMap, resize, stack
from trfjax.features.extract import extract
from trfjax.features.head import softmax
from trfjax.features.predictor import as_predictor
from trfjax.features.preprocessing import Preprocessing
from trfjax.features.stream import stream_maps


def test_rows_are_those_of_the_pixels_drawn():
    data = toy(5)
    found = extract(colours, data, spaces=("logits", "probs"), pixels=10**6)
    images, labels = stack(data)
    valid = labels != 255
    logits = images[valid].astype(np.float32) / 255 * 4
    np.testing.assert_allclose(found.features["logits"], logits, rtol=1e-6)
    np.testing.assert_allclose(found.features["probs"], softmax(logits), rtol=1e-5)
    np.testing.assert_array_equal(found.labels, labels[valid])
    np.testing.assert_array_equal(found.predictions, logits.argmax(axis=1))
    np.testing.assert_array_equal(found.image, np.nonzero(valid)[0])
    assert found.class_names == NAMES and found.source_class_names == ("0", "1", "2")
    assert found.facts["total_valid"] == found.facts["kept"] == valid.sum()


def test_the_same_pixels_for_every_model_whatever_its_size_and_batch():
    data, kept = toy(5), []
    small = as_predictor(colours, preprocessing=Preprocessing(size=(8, 12)))
    for model, batch in ((colours, 2), (small, 8), (trained(), 3)):
        found = extract(model, data, pixels=100, batch_size=batch)
        kept.append((found.image.tolist(), found.labels.tolist()))
    assert kept[0] == kept[1] == kept[2]


def test_batches_do_not_matter():
    net, data = trained(), toy(5)
    one, other = (
        extract(net, data, spaces=("logits", "penultimate"), pixels=90, batch_size=b)
        for b in (2, 5)
    )
    for space in ("logits", "penultimate"):
        # Sums in another order, in float32.
        np.testing.assert_allclose(one.space(space), other.space(space), atol=1e-4)


def test_a_model_of_another_size_is_read_between_its_pixels():
    data = toy(2)
    small = as_predictor(colours, preprocessing=Preprocessing(size=(8, 12)))
    found = extract(small, data, spaces=("logits",), pixels=10**6)
    example = data[0]
    half, _ = resize(example["image"], example["label"], (8, 12))
    valid = np.argwhere(example["label"] != 255)
    at = np.flatnonzero((valid == [0, 0]).all(axis=1))
    if len(at):  # the corner is that of the smaller image
        corner = half[0, 0].astype(np.float32) / 255 * 4
        np.testing.assert_allclose(found.space("logits")[at[0]], corner, rtol=1e-6)
    assert len(found) == sum((e["label"] != 255).sum() for e in data)


def test_fewer_pixels_are_said(caplog):
    with caplog.at_level(logging.WARNING, "trfjax"):
        found = extract(colours, toy(1), pixels=10**5)
    assert "100000 pixels asked for, only" in caplog.text
    assert len(found) == found.facts["kept"] < found.facts["pixels"]


def test_classification_has_a_row_per_image(caplog):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (7, 4, 4, 3)).astype(np.uint8)
    labels = np.arange(7, dtype=np.int32) % 3
    data = toy(7, images=images, labels=labels)
    found = extract(lambda x: x.mean(axis=(1, 2)), data, batch_size=3)
    assert found.image.tolist() == list(range(7)) and not caplog.text
    np.testing.assert_array_equal(found.labels, labels)
    with pytest.raises(ValueError, match="needs vectors"):
        extract(colours, data)
    with pytest.raises(ValueError, match="no boundaries"):
        extract(colours, data, strategy="boundary")
    with pytest.raises(ValueError, match="needs vectors"):
        extract(lambda x: x.mean(axis=(1, 2)), toy(2))


@pytest.mark.parametrize(
    "failure",
    [RuntimeError("RESOURCE_EXHAUSTED: 4 GiB"), MemoryError(), RuntimeError("other")],
)
def test_the_batch_is_halved_when_memory_runs_out(failure, caplog):
    seen = []

    def greedy(images):
        seen.append(len(images))
        if len(images) > 2:
            raise failure
        return colours(images)

    data = toy(7)
    if "other" in str(failure):
        with pytest.raises(RuntimeError, match="other"):
            extract(greedy, data, pixels=100)
        return
    found = extract(greedy, data, pixels=100, batch_size=6)
    assert seen == [6, 3, 1, 1, 1, 1, 1, 1, 1] and "out of memory" in caplog.text
    plain = extract(colours, data, pixels=100)
    np.testing.assert_array_equal(found.space("probs"), plain.space("probs"))


def test_memory_that_never_suffices_is_an_error():
    def never(images):
        raise MemoryError("no room")

    with pytest.raises(MemoryError, match="no room"):
        extract(never, toy(3))


def test_images_without_a_drawn_pixel_are_not_run():
    seen = []
    labels = np.full((4, 16, 24), 255, np.int32)
    labels[2] = 1
    data = toy(4, labels=labels)
    found = extract(lambda x: seen.append(len(x)) or colours(x), data, pixels=9)
    assert seen == [1] and set(found.image) == {2}


def test_all_ignored_and_empty():
    labels = np.full((2, 16, 24), 255, np.int32)
    with pytest.raises(ValueError, match="all of them are ignored"):
        extract(colours, toy(2, labels=labels))
    with pytest.raises(ValueError, match="has no image"):
        extract(colours, toy(2).select([]))


def test_bad_labels_and_sizes_are_named():
    labels = np.zeros((2, 16, 24), np.int32)
    labels[1, 3, 3] = 9
    with pytest.raises(ValueError, match=r"image1: label 9 is outside 0\.\.2"):
        extract(colours, toy(2, labels=labels))
    with pytest.raises(ValueError, match=r"image0: label of shape .* resize them"):
        extract(colours, toy(2, labels=np.zeros((2, 8, 12), np.int32)))


def test_nan_names_the_model_and_the_image():
    def broken(images):
        return np.where(
            np.arange(len(images))[:, None, None, None] == 1, np.nan, images
        )

    with pytest.raises(ValueError, match=r"broken: probs are NaN .* image1"):
        extract(broken, toy(3))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"spaces": ("softmax",)}, "spaces"),
        ({"spaces": ()}, "spaces"),
        ({"spaces": "probs"}, "spaces"),
        ({"batch_size": 0}, "batch_size: 0"),
        ({"pixels": 0}, "pixels: 0"),
        ({"strategy": "all"}, "strategy: 'all'"),
    ],
)
def test_wrong_settings_fail_before_anything_runs(settings, message):
    def never(images):
        raise AssertionError

    with pytest.raises(ValueError, match=message):
        extract(never, toy(2), **settings)


def test_streaming_gives_every_valid_pixel():
    data = toy(3)
    net = trained()
    rows = list(stream_maps(net, data, spaces=("probs", "penultimate"), batch_size=2))
    assert [row.image for row in rows] == [0, 1, 2]
    whole = extract(
        net, data, spaces=("probs", "penultimate"), pixels=10**6, batch_size=2
    )
    for space in ("probs", "penultimate"):
        joined = np.concatenate([row.features[space] for row in rows])
        np.testing.assert_allclose(joined, whole.space(space), atol=1e-6)
    np.testing.assert_array_equal(
        np.concatenate([r.labels for r in rows]), whole.labels
    )


def test_streaming_an_ignored_image_and_images_of_two_sizes():
    shapes, names = [(4, 6), (8, 4)], ("a", "b")

    def read(i):
        label = np.full(shapes[i], 255 if i else 1, np.int32)
        return np.zeros((*shapes[i], 3), np.uint8), label

    data = Dataset("two", LabelMap(NAMES), names, read, names, "two")
    sized = as_predictor(colours, preprocessing=Preprocessing(size=(8, 8)))
    rows = list(stream_maps(sized, data))
    assert [len(row.labels) for row in rows] == [24, 0]
    assert rows[1].features["probs"].shape == (0, 3)
    with pytest.raises(ValueError, match="sizes differ"):
        list(stream_maps(colours, data))


def test_a_torch_module_from_end_to_end():
    torch = pytest.importorskip("torch")
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 6, 1), torch.nn.Conv2d(6, 3, 1))
    found = extract(net, toy(3), spaces=("probs", "penultimate"), layer="0", pixels=50)
    assert found.space("penultimate").shape == (50, 6) and found.facts["weights"]

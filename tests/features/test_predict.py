"""Masks and probabilities of images, against a network that one can see through."""

import jax
import numpy as np
import pytest
from PIL import Image

import trfjax
from trfjax.data.given import as_dataset
from trfjax.features.preprocessing import Preprocessing
from trfjax.models import create_model
from trfjax.state import ModelCard, TrainedModel


def brightest(images):
    """A class for each colour: the largest channel is the logit that wins."""
    return images * 20


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (5, 4, 6, 3), dtype=np.uint8)


def test_a_pixel_gets_the_class_of_the_largest(images):
    found = trfjax.predict(brightest, images, batch_size=2, class_names="rgb")
    assert [p.image_id for p in found] == [f"{i:05d}" for i in range(5)]
    for image, prediction in zip(images, found, strict=True):
        np.testing.assert_array_equal(prediction.mask, image.argmax(axis=-1))
        logits = image / 255 * 20
        probs = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
        # float32 exponentials of up to exp(20)
        np.testing.assert_allclose(prediction.probs, probs, rtol=1e-4, atol=1e-9)
        np.testing.assert_array_equal(
            prediction.confidence, prediction.probs.max(axis=-1)
        )
        share = (image.argmax(axis=-1) == 0).mean()
        assert prediction.shares["r"] == pytest.approx(share)
    assert "r " in str(found[0]) and repr(found[0]) == str(found[0])


def test_masks_have_the_size_of_the_image_whatever_the_network_sees(images):
    given = [images[0], images[1, :3], np.repeat(images[2], 3, axis=1)]
    seen = []

    def network(batch):
        seen.append(batch.shape)
        return brightest(batch)

    found = trfjax.predict(network, given, size=(2, 3))
    assert set(seen) == {(3, 2, 3, 3)}
    assert [p.mask.shape for p in found] == [image.shape[:2] for image in given]
    assert found[0].probs.shape == (2, 3, 3)
    # No size: every image as it is, one at a time.
    del seen[:]
    trfjax.predict(network, given)
    assert seen == [(1, *image.shape) for image in given]


def test_probabilities_are_resized_linearly():
    """Between a sure 0 and a sure 1 the border is in the middle."""
    image = np.zeros((1, 2, 3), np.uint8)
    image[0, 1, 1] = 255
    image[0, 0, 0] = 255
    (found,) = trfjax.predict(
        brightest,
        [np.repeat(np.repeat(image, 4, axis=0), 4, axis=1)],
        size=(1, 2),
    )
    np.testing.assert_array_equal(found.mask, [[0] * 4 + [1] * 4] * 4)
    assert 0.5 < found.confidence[0, 3] < found.confidence[0, 0]


def test_classifiers_and_labels_that_are_not_looked_at(images):
    def network(batch):
        return batch.mean(axis=(1, 2))

    labelled = as_dataset((images, np.full(5, 7)))
    for given in (images, labelled):
        found = trfjax.predict(network, given, class_names="rgb")
        expected = images.mean(axis=(1, 2)).argmax(axis=-1)
        assert [int(p.mask) for p in found] == expected.tolist()
        assert found[0].mask.shape == () and found[0].probs.shape == (3,)
        assert sum(found[0].shares.values()) == pytest.approx(1, abs=1e-6)


def test_a_trained_network_and_a_folder_of_photographs(images, tmp_path):
    options = {"num_classes": 3, "width": 2, "in_channels": 3}
    net = create_model("unet", key=jax.random.key(0), **options)
    card = ModelCard("tiny", "unet", options, ("a", "b", "c"), input_size=(16, 16))
    trained = TrainedModel(net, card)
    for i, image in enumerate(images[:2]):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    found = trained.predict(tmp_path, progress=False)
    arrays = trained.predict(images[:2], progress=False)
    assert [p.image_id for p in found] == ["0", "1"]
    assert found[0].class_names == card.class_names
    for a, b in zip(found, arrays, strict=True):
        np.testing.assert_array_equal(a.mask, b.mask)


def test_what_cannot_be_predicted(images):
    with pytest.raises(ValueError, match="batch_size: 0"):
        trfjax.predict(brightest, images, batch_size=0)
    with pytest.raises(ValueError, match="images: there is none"):
        trfjax.predict(brightest, [])
    with pytest.raises(ValueError, match="output for image 00000 is NaN"):
        trfjax.predict(lambda x: x * np.nan, images)
    with pytest.raises(ValueError, match="mean: 2 values for images of 3 channels"):
        two = Preprocessing(mean=(0.5,) * 2)
        trfjax.predict(brightest, images, preprocessing=two)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        trfjax.predict(brightest, "nowhere")

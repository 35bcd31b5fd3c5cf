"""Targets that nobody has labelled: the scores that need none, the others by name."""

import logging

import numpy as np
import pytest
from PIL import Image

import trfjax
from trfjax.data.labels import NO_LABELS
from trfjax.features.featureset import FeatureSet

QUICK = {"bootstrap": 0, "progress": False}


def pixelwise(images):
    """Logits and features of four classes."""
    logits = images @ np.arange(12, dtype=np.float32).reshape(3, 4)
    return {"logits": logits, "penultimate": images}


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (4, 6, 8, 3), dtype=np.uint8)


def test_scores_without_labels_take_the_place_of_the_others(images, caplog):
    with caplog.at_level(logging.WARNING, "trfjax"):
        ranking = trfjax.rank({"a": pixelwise}, (images, None), **QUICK)
    assert set(ranking.metrics) == {"energy", "nuclear_norm", "neighbourhood_density"}
    assert all(cell.status == "ok" for cell in ranking.cells)
    assert "has no labels: left out otce, leep" in caplog.text
    logits = pixelwise(images / np.float32(255))["logits"].reshape(-1, 4)
    expected = trfjax.energy(logits)
    (cell,) = ranking.column("energy")
    assert cell.score == pytest.approx(float(expected), rel=1e-5)


def test_those_asked_for_stay(images):
    ranking = trfjax.rank(
        {"a": pixelwise}, (images, None), metrics=("leep", "nuclear_norm"), **QUICK
    )
    assert ranking.metrics == ("nuclear_norm",)


def test_features_without_labels(images):
    logits = pixelwise(images / np.float32(255))["logits"]
    features = FeatureSet.from_arrays(None, logits=logits)
    assert (
        features.class_names == NO_LABELS.names and len(features) == logits[..., 0].size
    )
    ranking = trfjax.rank({"a": features}, metrics=("leep", "energy"), **QUICK)
    (cell,) = ranking.column()
    assert cell.score == pytest.approx(float(trfjax.energy(logits)), rel=1e-5)
    with pytest.raises(ValueError, match="features: none given"):
        FeatureSet.from_arrays(None)


def test_a_classifier_gives_one_row_an_image(images):
    def classifier(batch):
        return pixelwise(batch)["logits"].mean(axis=(1, 2))

    found = trfjax.extract(
        classifier,
        trfjax.as_dataset((images, None)),
        spaces=("logits",),
        progress=False,
    )
    assert len(found) == len(images)
    whole = trfjax.extract_all(
        classifier, trfjax.as_dataset((images, None)), progress=False
    )
    assert whole.pixels == len(images)


def test_images_to_label_next_and_a_folder_of_photographs(images, tmp_path):
    for i, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    data = trfjax.load_dataset("photographs", tmp_path, size=(6, 8))
    assert not data.labelled and data.image_ids == ("0", "1", "2", "3")
    np.testing.assert_array_equal(data[2]["image"], images[2])
    for target in (images, data):
        found = trfjax.suggest(pixelwise, target, count=2, atoms=8, progress=False)
        assert len(set(found.indices)) == 2

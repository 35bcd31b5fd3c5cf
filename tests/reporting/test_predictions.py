"""Masks as palette files, overlays with a legend, and the tables."""

import csv

import numpy as np
import pytest
from PIL import Image

from trfjax.features.predict import Prediction
from trfjax.reporting.predictions import (
    colours_of,
    mask_image,
    overlay,
    table,
    text,
    write_prediction,
    write_tables,
)


def prediction(mask, names=("background", "cell", "rim")):
    mask = np.asarray(mask, np.int32)
    probs = np.eye(len(names), dtype=np.float32)[mask]
    return Prediction("more/7", tuple(names), probs, mask, np.ones(mask.shape, "f4"))


def test_a_mask_holds_ids_and_shows_colours(tmp_path):
    found = prediction([[0, 1], [2, 1]])
    mask_image(found).save(tmp_path / "mask.png")
    with Image.open(tmp_path / "mask.png") as picture:
        assert picture.mode == "P"
        np.testing.assert_array_equal(np.asarray(picture), found.mask)
        shown = np.asarray(picture.convert("RGB"))
    colours = colours_of(found.class_names)
    assert tuple(shown[0, 1]) == colours[1] and tuple(shown[0, 0]) == (0, 0, 0)
    many = prediction([[299]], names=tuple(f"c{i}" for i in range(300)))
    assert np.asarray(mask_image(many)).dtype == np.uint16
    with pytest.raises(ValueError, match="there is no mask"):
        mask_image(prediction(1))
    assert colours_of(("road", "sky"))[0] == (128, 64, 128)  # as Cityscapes has it


def test_an_overlay_leaves_the_background_and_has_a_legend():
    image = np.full((300, 600, 3), 100, np.uint8)
    mask = np.zeros((300, 600), np.int32)
    mask[:, 300:] = 1
    page = np.asarray(overlay(image, prediction(mask), opacity=0.5))
    assert page.shape[0] > 310 and page.shape[1] == 600
    assert (page[:300, :300] == 100).all()
    cell = np.array(colours_of(("background", "cell", "rim"))[1])
    np.testing.assert_allclose(page[0, 400], (100 + cell) / 2, atol=1)
    assert (page[302:] == cell).all(axis=-1).sum() > 100  # the swatch
    small = overlay(np.zeros((3, 5, 1), np.uint8), prediction(np.ones((3, 5))))
    assert small.width >= 480
    with pytest.raises(ValueError, match="opacity: 2"):
        overlay(image, prediction(mask), opacity=2.0)
    with pytest.raises(ValueError, match="for a mask of"):
        overlay(image[:9], prediction(mask))


def test_files_and_tables(tmp_path):
    found, image = prediction([[0, 1]]), np.zeros((1, 2, 3), np.uint8)
    files = write_prediction(found, image, tmp_path, probabilities=True)
    assert files == (
        *("masks/more/7.png", "overlays/more/7.jpg"),
        "probabilities/more/7.npy",
    )
    kept = np.load(tmp_path / files[2], allow_pickle=False)
    np.testing.assert_array_equal(kept, found.probs)
    assert write_prediction(prediction(1), image, tmp_path) == ()  # it is in the table
    names = found.class_names
    records = [
        {"file": "7.jpg", "class": "cell", "confidence": 0.5, "size": [1, 2],
         "shares": dict(zip(names, (0.25, 0.75, 0.0), strict=True)), "files": files},
        {"file": "=8.jpg", "error": "cut off"},
    ]  # fmt: skip
    write_tables(records, names, tmp_path)
    with open(tmp_path / "predictions.csv", newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert float(rows[0]["cell"]) == 0.75 and rows[1]["error"] == "cut off"
    assert rows[1]["cell"] == ""
    assert rows[1]["file"] == "'=8.jpg"  # no formula for a spreadsheet
    assert '0,"background",#000000' in (tmp_path / "classes.csv").read_text()
    words = text(records, names)
    assert "cell                       75.0%" in words and "rim" not in words
    assert "cell                           1" in text(
        [records[0] | {"size": []}], names
    )
    assert text(records[1:], names) == ""
    assert table([], names).startswith("file,class,confidence,background")

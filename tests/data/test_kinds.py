"""Every kind of data set is listed, and the places are those that are read."""

import numpy as np
import pytest
from PIL import Image

from trfjax.cli import run
from trfjax.data.classification import SOURCES
from trfjax.data.folders import load_dataset
from trfjax.data.kinds import kinds
from trfjax.data.layouts import LAYOUTS
from trfjax.data.medical.layouts import VOLUME_LAYOUTS


def test_every_kind_is_listed(capsys):
    listed = dict(kinds())
    assert {*LAYOUTS, *SOURCES, *VOLUME_LAYOUTS, "photographs"} <= set(listed)
    assert all(places and all(places) for places in listed.values())
    assert run(["data", "--kinds"]) == 0
    assert "folders\n    images/{stem}.{ext}" in capsys.readouterr().out


@pytest.mark.parametrize("folder", ["labels", "masks"])
def test_masks_may_lie_in_masks(folder, tmp_path):
    for name in ("images", folder):
        (tmp_path / name).mkdir()
    Image.fromarray(np.zeros((3, 4, 3), np.uint8)).save(tmp_path / "images" / "1.jpg")
    ids = np.arange(12, dtype=np.uint8).reshape(3, 4) % 3
    Image.fromarray(ids).save(tmp_path / folder / "1.png")
    (tmp_path / "classes.txt").write_text("a\nb\nc\n")
    data = load_dataset("folders", tmp_path)
    np.testing.assert_array_equal(data[0]["label"], ids)

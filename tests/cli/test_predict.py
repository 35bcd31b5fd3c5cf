"""`trfjax predict`, called in this process, as a newcomer would."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from trfjax.cli import FAILED_CELLS, USAGE, run
from trfjax.studies import predicting


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The run folder of a network that learnt nothing."""
    folder = tmp_path_factory.mktemp("runs") / "arden"
    words = ["--width", "2", "--steps", "2", "--batch-size", "2", "--count", "4"]
    words += ["--size", "32", "64"]
    assert run(["train", *words, "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def photographs(tmp_path, monkeypatch, rng):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos" / "more").mkdir(parents=True)
    for name in ("1.jpg", "2.png", "more/3.webp"):
        size = rng.integers(20, 90, 2)
        pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / name)
    return tmp_path / "photos"


def test_masks_of_a_folder(source, photographs, tmp_path, capsys, monkeypatch):
    words = ["predict", "--model", str(source), "--images", "photos"]
    words += ["--batch-size", "2", "--out", "photos/found"]
    assert run(words) == 0
    out = photographs / "found"
    with Image.open(photographs / "more" / "3.webp") as opened:
        size = opened.size
    with Image.open(out / "masks" / "more" / "3.png") as mask:
        assert mask.size == size and mask.mode == "P"
    assert (out / "overlays" / "1.jpg").is_file()
    lines = list(csv.DictReader((out / "predictions.csv").read_text().splitlines()))
    assert [line["file"] for line in lines] == [
        *("photos/1.jpg", "photos/2.png"),
        "photos/more/3.webp",
    ]
    assert "mean confidence" in capsys.readouterr().out

    # What is finished is read back; a mask that is gone is made again.
    def never(*args, **options):
        raise AssertionError("predicted again")

    right = predicting.predict
    monkeypatch.setattr(predicting, "predict", never)
    assert run([*words, "--format", "csv"]) == 0
    assert capsys.readouterr().out == (out / "predictions.csv").read_text()
    monkeypatch.setattr(predicting, "predict", right)
    (out / "masks" / "2.png").unlink()
    assert run([*words, "--format", "json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 3
    assert (out / "masks" / "2.png").is_file()
    # Other options are other predictions.
    assert run([*words, "--no-overlays"]) == USAGE
    said = capsys.readouterr().err
    assert "holds other predictions: written.overlays was True" in said
    assert run([*words, "--no-overlays", "--overwrite"]) == 0
    assert not (out / "overlays" / "1.jpg").exists()


def test_one_bad_photograph_does_not_stop_the_others(source, photographs, capsys):
    (photographs / "bad.jpg").write_bytes(b"\xff\xd8\xff")
    (photographs / "raw.heic").write_bytes(b"")
    words = ["predict", "--model", str(source), "--images", "photos", "--out", "found"]
    assert run(words) == FAILED_CELLS
    said = capsys.readouterr().err
    assert "left out: photos/bad.jpg: not a PNG" in said and "3 photographs" in said
    assert "1 images such as photos/raw.heic" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--images", "nix"], "nix: no such folder"),
        (["--opacity", "2"], "--opacity: 2.0 is not a number from 0 to 1"),
        (["--batch-size", "0"], "--batch-size: 0"),
        (["--size", "0", "8"], "--size: 0 8 is not 2 values"),
        (["--model", "nix"], "--model: nix: no such file or folder"),
        (["--out", "photos"], "is read from by this very command"),
    ],
)
def test_options_that_cannot_be(words, message, source, photographs, capsys):
    given = ["--model", str(source), "--images", "photos", "--out", "found"]
    assert run(["predict", *given, *words]) == USAGE
    assert message in capsys.readouterr().err
    assert not (photographs.parent / "found" / "predictions.csv").exists()

"""From labelled images to masks: every command ends with the next one to type."""

import shlex

import numpy as np
import pytest
from PIL import Image

from trfjax.cli import USAGE, run
from trfjax.errors import DataError
from trfjax.files import write_json
from trfjax.ranking.rank import SavedSource, Source
from trfjax.studies.opening import _told_apart
from trfjax.studies.runs import open_model
from trfjax.studies.specs import SourceSpec


def words_after(text, mark):
    """Return the arguments of the command that a line proposes."""
    (line,) = [line for line in text.splitlines() if line.startswith(mark)]
    words = shlex.split(line.removeprefix(mark))
    assert words.pop(0) == "trfjax"
    return words


def test_from_twenty_images_to_masks(tmp_path, monkeypatch, capsys, rng):
    monkeypatch.chdir(tmp_path)
    short = ["--steps", "2", "--batch-size", "2"]
    train = ["train", "--width", "2", "--count", "4", "--size", "32", "64", *short]
    assert run([*train, "--out", "runs/arden"]) == 0
    rank = ["rank", "--target", "synthetic:kestry", "--shots", "3", "--bootstrap", "9"]
    rank += ["--metrics", "leep", "--sources"]
    capsys.readouterr()
    assert run([*rank, "runs/arden"]) == 0
    # The same images, fine-tuned.
    tune = words_after(capsys.readouterr().err, "next: ")
    assert tune[:3] == ["finetune", "--source", "runs/arden"]
    assert run([*tune, *short, "--no-compare"]) == 0
    predict = words_after(capsys.readouterr().err, "next: ")
    (tmp_path / "photos").mkdir()
    pixels = rng.integers(0, 256, (9, 20, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photos" / "1.jpg")
    predict[predict.index("PHOTOGRAPHS")] = "photos"
    assert run(predict) == 0
    with Image.open("runs/predict/masks/1.png") as mask:
        assert mask.size == (20, 9)
    # Everything in runs/ is a source, or left out with a word.
    capsys.readouterr()
    assert run([*rank, "runs/arden", "runs/predict", "runs/rank", "runs/tuned"]) == 0
    said = capsys.readouterr()
    assert "left out: runs/rank holds results" in said.err
    assert "3 of 3 target images belong to the data that runs/tuned/seed-0" in said.err
    assert "arden to synthetic:kestry 0" in said.out
    assert "--out runs/tuned-2" in said.err
    assert run([*rank, "runs/rank"]) == USAGE
    assert "holds what trfjax rank wrote, and no network" in capsys.readouterr().err


def test_a_folder_of_several_networks_asks_which_one(tmp_path):
    for seed in (0, 1):
        write_json(tmp_path / f"seed-{seed}" / "run.json", {})
    with pytest.raises(DataError, match="holds 2 networks; name one of seed-0, seed-1"):
        open_model(tmp_path)


def test_networks_of_one_name_are_told_apart():
    sources: list[Source | SavedSource] = [
        Source(name, len) for name in ("arden", "other", "arden")
    ]
    specs = [SourceSpec(model=f"runs/{i}") for i in range(2)]
    specs.append(SourceSpec(model="runs/2", name="arden"))
    found = [source.name for source in _told_apart(sources, specs)]
    assert found == ["runs/0", "other", "arden"]

"""`trfjax adapt`, called in this process, as a newcomer would."""

import csv
import json

import numpy as np
import pytest

from tests.training.cases import assert_same
from trfjax.adaptation import seed as seeds
from trfjax.cli import FAILED_CELLS, USAGE, run
from trfjax.files import read_json
from trfjax.reporting.adaptation import text
from trfjax.studies import adapting
from trfjax.studies.runs import open_model
from trfjax.training.loop import DivergedError

SHORT = ["--target", "synthetic:kestry", "--count", "6", "--steps", "2"]
SHORT += ["--batch-size", "2", "--methods", "source_only", "cbst"]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The run folder of a network that learnt nothing."""
    folder = tmp_path_factory.mktemp("runs") / "arden"
    words = ["--width", "2", "--steps", "1", "--batch-size", "2", "--count", "3"]
    words += ["--size", "32", "64", "--out", str(folder)]
    assert run(["train", *words]) == 0
    return folder


@pytest.fixture(scope="module")
def done(source):
    out = source.parent / "adapted"
    words = ["--source", str(source), *SHORT, "--seeds", "0", "1", "--out", str(out)]
    assert run(["adapt", *words]) == 0
    return out, words


def test_it_writes_networks_and_tables(done):
    out, _ = done
    rows = list(csv.DictReader((out / "results.csv").read_text().splitlines()))
    names = [(row["method"], row["seed"]) for row in rows]
    assert names == [(m, s) for m in ("source_only", "cbst") for s in ("0", "1")]
    found = read_json(out / "results.json")
    for method, numbers in found["summary"].items():
        mine = [r for r in found["runs"] if r["method"] == method]
        after = [r["evaluation"]["miou"] for r in mine]
        before = [r["before"]["miou"] for r in mine]
        np.testing.assert_allclose(numbers["miou"]["value"], np.mean(after))
        np.testing.assert_allclose(
            numbers["gain"]["value"], np.mean(after) - np.mean(before), atol=1e-12
        )
        for record in mine:
            assert open_model(out / record["model"]).card.name
            assert len(record["curves"]["loss"]) == 2
    assert not list(out.glob("**/state.safetensors"))  # finished: nothing to resume


def test_finished_runs_are_read_back(done, monkeypatch, capsys):
    out, words = done

    def never(*args, **options):
        raise AssertionError("it was finished")

    monkeypatch.setattr(adapting, "adapt", never)
    assert run(["adapt", *words, "--format", "json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["runs"]) == 4
    assert run(["adapt", *words, "--steps", "3"]) == USAGE
    assert "holds another adaptation: recipe.steps was 2" in capsys.readouterr().err
    assert run(["adapt", *words, "--methods", "dan"]) == USAGE
    assert "--methods: unknown 'dan'; available: source" in capsys.readouterr().err
    assert run(["train", "--out", str(out)]) == USAGE


def test_an_interrupted_run_goes_on(source, tmp_path, monkeypatch):
    words = ["adapt", "--source", str(source), *SHORT[:-2], "source_only"]
    words += ["--test", "none"]
    assert run([*words, "--out", str(tmp_path / "whole")]) == 0
    keep = seeds._judged

    def stop(*args):
        now = keep(*args)
        if len(args[-1]["loss"]) == 2:  # its loss is recorded, its state is lost
            raise KeyboardInterrupt
        return now

    monkeypatch.setattr(seeds, "_judged", stop)
    cut = ["--out", str(tmp_path / "cut")]
    assert run([*words, *cut]) == 130
    place = tmp_path / "cut" / "source_only" / "seed-0"
    assert (place / "state.safetensors").is_file()
    monkeypatch.setattr(seeds, "_judged", keep)
    assert run([*words, *cut, "--resume"]) == 0
    one, other = (
        open_model(tmp_path / name / "source_only" / "seed-0").model.params
        for name in ("whole", "cut")
    )
    assert_same(one, other)
    curves = [
        read_json(tmp_path / name / "results.json")["runs"][0]["curves"]
        for name in ("whole", "cut")
    ]
    assert curves[0] == curves[1]


def test_a_method_that_diverges_leaves_the_others(
    source, tmp_path, monkeypatch, capsys
):
    adapt = adapting.adapt

    def broken(trained, *args, method, **options):
        if method == "cbst":
            raise DivergedError(trained, 1)
        return adapt(trained, *args, method=method, **options)

    monkeypatch.setattr(adapting, "adapt", broken)
    words = ["adapt", "--source", str(source), *SHORT, "--out", str(tmp_path / "out")]
    assert run(words) == FAILED_CELLS
    out = capsys.readouterr().out
    assert "cbst, seed 0: failed: the loss" in out and "source_only: mIoU" in out
    assert open_model(tmp_path / "out/cbst/seed-0/model.safetensors").card.name


def test_words_for_a_target_without_labels_and_for_collapse():
    record = {"method": "dann", "seed": 3, "status": "ok", "warnings": ["class gone"]}
    lines = text([record], "table").splitlines()
    assert lines[0] == ("dann, seed 3: done; the target has no labels to measure it by")
    assert lines[1] == "dann, seed 3: class gone"

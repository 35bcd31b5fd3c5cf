"""`trfjax finetune`, called in this process, as a newcomer would."""

import csv
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from tests.data.test_classification import idx
from trfjax.cli import FAILED_CELLS, USAGE, run
from trfjax.cli import finetune as command
from trfjax.cli.commands import Finetune
from trfjax.data import load_dataset
from trfjax.files import read_json
from trfjax.reporting.finetuning import text as words_of
from trfjax.studies import finetune_runs, finetuning
from trfjax.studies.runs import open_model
from trfjax.training.evaluate import Evaluation
from trfjax.training.loop import DivergedError

SIZE = ["--size", "32", "64"]
SHORT = ["--target", "synthetic:kestry", "--count", "8", "--shots", "3"]
SHORT += ["--steps", "2", "--batch-size", "2"]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The run folder of a network that learnt nothing."""
    folder = tmp_path_factory.mktemp("runs") / "arden"
    words = ["--width", "2", "--steps", "2", "--batch-size", "2", "--count", "4"]
    assert run(["train", *words, *SIZE, "--out", str(folder)]) == 0
    return folder


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def refused(capsys, *words, code=USAGE):
    """Return the message of a command that does not do what it was asked."""
    capsys.readouterr()
    assert run(["finetune", *words]) == code
    text = capsys.readouterr().err
    assert "Traceback" not in text and text.strip()
    return text


@pytest.fixture(scope="module")
def done(source):
    """What two seeds of plain fine-tuning leave behind."""
    out = source.parent / "tuned"
    words = ["--source", str(source), *SHORT, "--seeds", "0", "1", "--out", str(out)]
    assert run(["finetune", *words]) == 0
    return out, words


def test_it_writes_networks_tables_and_curves(done):
    out, _ = done
    found = read_json(out / "results.json")
    assert [r["seed"] for r in found["runs"]] == [0, 1]
    for record in found["runs"]:
        assert record["status"] == "ok" and record["head"] == "kept"
        assert len(record["curves"]["loss"]) == 2
        network = open_model(out / f"seed-{record['seed']}")
        assert network.card.name == f"arden to synthetic:kestry {record['seed']}"
    values = [r["evaluation"]["miou"] for r in found["runs"]]
    assert found["summary"]["miou"]["mean"] == pytest.approx(np.mean(values))
    assert found["summary"]["miou"]["spread"] == pytest.approx(np.std(values, ddof=1))
    lines = list(csv.DictReader((out / "results.csv").read_text().splitlines()))
    assert [float(line["miou"]) for line in lines] == values
    road = found["runs"][0]["evaluation"]["classes"]["road"]["iou"]
    assert float(lines[0]["iou road"]) == road
    assert (out / "curves.png").read_bytes()[:4] == b"\x89PNG"
    assert yaml.safe_load((out / "config.yaml").read_text())["shots"] == 3


def test_it_is_set_beside_the_source_and_fresh_weights(done):
    out, _ = done
    for record in read_json(out / "results.json")["runs"]:
        beside = record["baselines"]
        assert set(beside) == {"as it is", "scratch"}
        assert beside["as it is"]["images"] == record["evaluation"]["images"] == 4
    first = next(csv.DictReader((out / "results.csv").read_text().splitlines()))
    assert float(first["as it is: miou"]) > 0
    card = open_model(out / "seed-0").card
    first, then = card.trained_on.split(", then ")
    assert first == "synthetic:arden:train"
    assert then == "synthetic:kestry:train:3shots@0"


def test_finished_seeds_are_read_back(done, capsys, monkeypatch):
    out, words = done
    before = (out / "seed-1" / "model.safetensors").stat().st_mtime_ns

    def never(*args):
        raise AssertionError("a finished seed was run again")

    monkeypatch.setattr(finetune_runs, "transfer", never)
    capsys.readouterr()
    assert run(["finetune", *words, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=lambda c: pytest.fail(c))
    assert found["runs"] == read_json(out / "results.json")["runs"]
    assert run(["finetune", *words, "--format", "csv"]) == 0
    assert capsys.readouterr().out == (out / "results.csv").read_text()
    assert (out / "seed-1" / "model.safetensors").stat().st_mtime_ns == before
    other = [*words, "--method", "head"]  # other options are another run
    text = refused(capsys, *other)
    assert "method was 'full' and is now 'head'" in text and "--overwrite" in text


def test_a_damaged_network_is_made_again(done, capsys):
    out, words = done
    path = out / "seed-0" / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:100])
    assert run(["finetune", *words]) == 0
    assert path.read_bytes() == content
    text = capsys.readouterr().out
    assert "seed 1: mIoU" in text and "mean and spread over seeds" in text


def test_classes_without_a_shot_are_named(tmp_path):
    measured = {"miou": 0.5, "accuracy": 0.6, "log_likelihood": -1.0}
    record = {"seed": 3, "status": "ok", "missing": ("dog", "cow")}
    record["evaluation"] = measured
    text = words_of([record | {"head": "new"}], tmp_path, "table")
    assert "no shot shows dog, cow: not learned" in text
    assert "spread" not in text  # of a single seed there is none
    text = words_of([record | {"head": "kept"}] * 2, tmp_path, "table")
    assert "no shot shows" not in text and "miou 0.500 +- 0.000" in text


def test_every_shot_is_tested_by_a_network_that_never_saw_it(source, tmp_path, capsys):
    words = ["--source", str(source), *SHORT, "--out", "tuned", "--test"]
    assert run(["finetune", *words, "cv"]) == 0
    said = capsys.readouterr()
    assert "learns 3 of 8 images, tested on the same 3 by cross-validation" in said.err
    assert "next: trfjax predict --model tuned/seed-0" in said.err
    assert "as it is: mIoU" in said.out and "scratch: mIoU" in said.out
    (record,) = read_json(tmp_path / "tuned" / "results.json")["runs"]
    assert record["evaluation"]["images"] == 3
    assert record["baselines"]["scratch"]["images"] == 3
    assert "test was None" not in refused(capsys, *words, "half")
    assert run(["finetune", *words, "none", "--overwrite"]) == 0
    assert "seed 0: tuned, not tested" in capsys.readouterr().out


def test_folds_are_learned_from_the_others(monkeypatch):
    """Every part is tested once, and never learned."""
    target = load_dataset("synthetic:kestry", count=7, size=(32, 32))
    seen = []

    def learned(work, shots, seed, test):
        assert not set(shots.image_ids) & set(test.image_ids)
        seen.append(test.image_ids)
        one = np.eye(2, dtype=np.int64) * len(test)
        return SimpleNamespace(evaluation=Evaluation(("a", "b"), one, -1.0, len(test)))

    monkeypatch.setattr(finetuning, "transfer", learned)
    work = object.__new__(finetuning.Finetuning)
    object.__setattr__(work, "folds", 3)
    found = finetuning.by_folds(work, target, seed=0, done=lambda: None)
    assert [len(part) for part in seen] == [3, 2, 2]
    assert sum(seen, ()) == target.image_ids
    assert found.images == 7 and found.pixels == 14
    assert found.log_likelihood == pytest.approx(-1)


@pytest.mark.parametrize("method", ["last-2", "scratch", "weighted"])
def test_methods(method, source, tmp_path):
    words = ["--source", str(source), *SHORT, "--method", method, "--no-compare"]
    assert run(["finetune", *words, "--out", "tuned"]) == 0
    (record,) = read_json(tmp_path / "tuned" / "results.json")["runs"]
    assert record["method"] == method and record["status"] == "ok"


def test_otce_finds_the_data_of_the_source(source, tmp_path, capsys):
    words = [*SHORT, "--method", "otce", "--alignment-steps", "2"]
    assert run(["finetune", "--source", str(source), *words, "--out", "tuned"]) == 0
    (record,) = read_json(tmp_path / "tuned" / "results.json")["runs"]
    assert len(record["alignment"]["task_difference"]) == 2
    assert len(record["source_accuracy"]) == 2
    config = Finetune(source=str(source), method="otce", count=8, shots=3)
    data = command.finetuning_of(config).source_data
    assert data is not None and data[0]["image"].shape == (32, 64, 3)  # as trained
    assert (tmp_path / "tuned" / "curves.png").stat().st_size > 1000
    # A checkpoint alone does not know it.
    shutil.copy(source / "model.safetensors", tmp_path / "net.safetensors")
    alone = ["--source", "net.safetensors", *words, "--out", "alone"]
    assert "Name it with --source-data" in refused(capsys, *alone)
    assert not (tmp_path / "alone").exists()
    assert run(["finetune", *alone, "--source-data", "synthetic:arden"]) == 0


def test_an_alignment_that_was_taken_back_is_told(done):
    out, _ = done
    (record, _) = read_json(out / "results.json")["runs"]
    text = words_of([record | {"alignment_stopped": 20}], out, "table")
    assert "the alignment was taken back to step 20" in text
    text = words_of([record | {"alignment_stopped": None}], out, "table")
    assert "alignment" not in text


def test_digits_from_one_set_to_another(tmp_path, rng):
    """The network is told that images are grey, and of what size."""
    for name in ("mnist", "other"):
        root = tmp_path / name
        root.mkdir()
        idx(root / "t10k-images-idx3-ubyte.gz", rng.integers(0, 256, (20, 28, 28)))
        idx(root / "t10k-labels-idx1-ubyte.gz", np.arange(20) % 10)
    words = ["--data", "mnist", "--root", "mnist", "--size", "16", "20", "--steps", "2"]
    assert run(["train", "--model", "lenet", *words, "--out", "lenet"]) == 0
    card = open_model(tmp_path / "lenet").card
    assert card.config["in_channels"] == 1 and card.mean == (0.0,)
    assert tuple(card.config["input_size"]) == card.input_size == (16, 20)
    words = ["--target", "mnist", "--root", "other", "--shots", "5", "--steps", "2"]
    words += ["--method", "otce", "--alignment-steps", "2"]
    assert run(["finetune", "--source", "lenet", *words, "--out", "tuned"]) == 0


def test_a_seed_that_diverges_is_listed_and_the_rest_is_done(
    source, tmp_path, capsys, monkeypatch
):
    right = finetune_runs.transfer

    def wrong(job, shots, seed, test):
        if seed == 3:
            raise DivergedError(job.source, step=1)
        return right(job, shots, seed, test)

    monkeypatch.setattr(finetune_runs, "transfer", wrong)
    words = ["--source", str(source), *SHORT, "--seeds", "3", "4", "--out", "tuned"]
    assert run(["finetune", *words]) == FAILED_CELLS
    text = capsys.readouterr().out
    assert "seed 3: failed: the loss" in text and "seed 4: mIoU" in text
    assert "the last good network: tuned/seed-3/model.safetensors" in text
    assert open_model(tmp_path / "tuned" / "seed-3").card.name == "arden"
    lines = list(
        csv.DictReader((tmp_path / "tuned" / "results.csv").read_text().splitlines())
    )
    assert [line["status"] for line in lines] == ["failed", "ok"]
    assert lines[0]["miou"] == "" and "not finite" in lines[0]["error"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--method", "half"], "--method: unknown 'half'; available: full, head, last"),
        (["--method", "last-99"], "layers with a kernel"),
        (["--shots", "9"], "--shots: 9 asked of synthetic:kestry:train, which has 4"),
        (["--shots", "0"], "--shots: 0"),
        (["--seeds", "1", "1"], "none twice"),
        (
            ["--seeds", "-1"],
            "--seeds: -1 is not one or more, each a whole",
        ),
        (["--shots", "1", "--test", "cv"], "--test: cv needs at least 2 images"),
        (["--steps", "0"], "steps: 0"),
        (["--held-out", "0.9"], "--held-out: 0.9"),
        (["--target", "synthetic:atlantis"], "'atlantis'; available"),
        (["--target", "camvid"], "--root"),
        (["--source-data", "synthetic:arden"], "--source-data: only the method otce"),
    ],
)
def test_options_that_cannot_be(words, message, source, tmp_path, capsys):
    given = ["--source", str(source), *SHORT, "--out", "tuned", *words]
    assert message in refused(capsys, *given)
    assert not (tmp_path / "tuned" / "results.json").exists()


def test_no_source(tmp_path, capsys):
    assert "--source" in refused(capsys, *SHORT)
    text = refused(capsys, "--source", "nix", *SHORT)
    assert "--source: nix: no such file or folder" in text and "trfjax train" in text
    (tmp_path / "empty").mkdir()
    assert "holds no model.safetensors" in refused(capsys, "--source", "empty", *SHORT)
    assert not (tmp_path / "runs").exists()


def test_a_folder_that_cannot_be_written_to(source, tmp_path, capsys):
    (tmp_path / "taken").write_text("a file, no folder")
    words = ["--source", str(source), *SHORT, "--out", "taken/run"]
    assert "cannot be written to" in refused(capsys, *words)

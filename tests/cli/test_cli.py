"""The command line, called in this process, as a newcomer would."""

import json
import re
import shutil
import threading

import numpy as np
import pytest
import yaml
from pyarrow import parquet

from trfjax.cli import FAILED_CELLS, USAGE, run
from trfjax.cli.commands import COMMANDS
from trfjax.features.featureset import FeatureSet
from trfjax.files import read_json
from trfjax.lock import locked
from trfjax.studies.runs import read_run, training_data

SMALL = ["--size", "32", "64", "--count", "4"]
RANK = ["--shots", "3", "--pixels", "200", "--repeats", "2", "--bootstrap", "20"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two run folders of networks that learnt nothing."""
    root = tmp_path_factory.mktemp("runs")
    for city in ("arden", "bruma"):
        words = ["--width", "2", "--steps", "2", "--batch-size", "2", *SMALL]
        words += ["--data", f"synthetic:{city}", "--out", str(root / city)]
        assert run(["train", *words]) == 0
    return root


@pytest.fixture(scope="module")
def saved(runs):
    """Features of one of the networks on its own and on target images."""
    for side, city in (("source", "arden"), ("target", "kestry")):
        words = ["--model", str(runs / "arden"), "--data", f"synthetic:{city}"]
        words += ["--shots", "3", "--pixels", "400"]
        assert run(["extract", *words, "--out", str(runs / f"{side}.safetensors")]) == 0
    return runs


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def refused(capsys, *words, code=USAGE):
    """Return the message of a command that does not do what it was asked."""
    capsys.readouterr()
    assert run(list(words)) == code
    text = capsys.readouterr().err
    assert "Traceback" not in text and text.strip()
    return text


def test_help_lists_the_commands(capsys):
    assert run(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"  {name} " in text for name in COMMANDS)
    for part in ("Begin with", "--config", "--print-config", "--debug", "--version"):
        assert part in text
    assert run([]) == USAGE


def test_version(capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out[0].isdigit()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_is(name, capsys):
    assert run([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert "{None}" not in text and "default: None" not in text
    doc = COMMANDS[name].__doc__ or ""
    for option in COMMANDS[name].__struct_fields__:
        positional = re.search(rf"(?m)^(usage:.*|\W*) {option.upper()}( |$)", text)
        assert positional or "--" + option.replace("_", "-") in text
        assert f"\n        {option}: " in doc


def test_an_unknown_command(capsys):
    text = refused(capsys, "rannk")
    assert "unknown command 'rannk'; did you mean 'rank'?" in text
    assert "trfjax demo" in text


def test_an_unknown_flag(capsys):
    text = refused(capsys, "rank", "--pixles", "3")
    assert "--pixles" in text and "--pixels" in text


def test_a_value_of_the_wrong_type(capsys):
    assert "--pixels" in refused(capsys, "rank", "--pixels", "many")


# Configuration files.


def test_print_config_and_config_are_a_round_trip(tmp_path, capsys):
    words = [
        "--target",
        "synthetic:lumeo",
        "--pixels",
        "77",
        "--metrics",
        "leep",
        "nce",
    ]
    assert run(["rank", *words, "--print-config"]) == 0
    printed = capsys.readouterr().out
    fields = yaml.safe_load(printed)
    assert fields["pixels"] == 77 and fields["metrics"] == ["leep", "nce"]
    path = tmp_path / "rank.yaml"
    path.write_text(printed)
    assert run(["rank", "--config", str(path), "--print-config"]) == 0
    assert capsys.readouterr().out == printed
    assert run(["rank", f"--config={path}", "--pixels", "5", "--print-config"]) == 0
    assert yaml.safe_load(capsys.readouterr().out) == fields | {"pixels": 5}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stepz: 3", "`stepz`; the options are data, root"),
        ("steps: many", "steps"),
        ("- steps", "object"),
        ("[1", "not valid YAML"),
    ],
)
def test_a_config_that_cannot_be_used(text, message, tmp_path, capsys):
    path = tmp_path / "train.yaml"
    path.write_text(text)
    found = refused(capsys, "train", "--config", str(path))
    assert str(path) in found and message in found


def test_a_config_that_is_not_there(capsys):
    assert "nix.yaml: no such file" in refused(capsys, "train", "--config", "nix.yaml")
    assert "YAML file is missing" in refused(capsys, "train", "--config")


# Data.


def test_data_prints_a_table_and_draws_a_sheet(tmp_path, capsys):
    assert run(["data", "--data", "synthetic:arden", *SMALL]) == 0
    found = capsys.readouterr()
    assert "road" in found.out and "contact-sheet.png" in found.err
    assert (tmp_path / "contact-sheet.png").stat().st_size > 1000


def test_data_as_json(tmp_path, capsys):
    words = ["--data", "synthetic:arden", *SMALL, "--sheet", "none"]
    assert run(["data", *words, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 4
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "synthetic:atlantis"], "'atlantis'; available: arden, bruma"),
        (["--data", "kamvid"], "unknown data set 'kamvid'; known: cityscapes"),
        (["--data", "camvid"], "--root"),
        (["--data", "camvid", "--root", "nix"], "nix: no such folder"),
        (["--sheet", "a.docx"], "--sheet must end in .png"),
        (["--count", "-3"], "count: -3"),
    ],
)
def test_data_that_is_not_there(words, message, tmp_path, capsys):
    assert message in refused(capsys, "data", *words)
    assert not list(tmp_path.iterdir())


# Training.


def test_a_run_folder_holds_all_there_is_to_know(runs):
    folder = runs / "arden"
    for name in ("model.safetensors", "state.safetensors", "config.yaml"):
        assert (folder / name).is_file()
    run = read_json(folder / "run.json")
    assert run["key"]["recipe"]["steps"] == 2 and len(run["value"]["history"]["loss"])
    assert set(run["files"]) == {"model.safetensors", "config.yaml"}


TRAIN = ["train", "--width", "2", "--steps", "2", "--batch-size", "2", *SMALL]


def content(folder):
    """Every file of a folder but the lock."""
    return {
        path.relative_to(folder): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


@pytest.fixture
def finished(runs, tmp_path):
    """A copy of a finished run, to do harm to."""
    return shutil.copytree(runs / "arden", tmp_path / "arden")


def test_a_finished_run_is_not_overwritten(finished, capsys):
    before = content(finished)
    words = [*TRAIN, "--out", str(finished)]
    text = refused(capsys, *words, "--data", "synthetic:bruma")
    assert "holds a finished run" in text and "--overwrite" in text
    assert "holds a finished run" in refused(capsys, *words)
    # Going on is for the same run.
    text = refused(capsys, *words, "--data", "synthetic:bruma", "--resume")
    assert "was 'synthetic:arden:train' and is now 'synthetic:bruma:train'" in text
    text = refused(capsys, *words, "--steps", "1", "--resume")
    assert "it has 2 steps already, more than 1" in text
    assert content(finished) == before
    assert run([*words, "--resume"]) == 0  # there is nothing left to do
    assert content(finished) == before


def test_more_steps_extend_a_run(finished):
    before = read_run(finished)
    assert run([*TRAIN, "--out", str(finished), "--steps", "3", "--resume"]) == 0
    after = read_run(finished)
    assert after.value["history"]["loss"][:2] == before.value["history"]["loss"]
    assert len(after.value["history"]["loss"]) == 3
    assert after.key["recipe"]["steps"] == 3


def test_overwrite_starts_over(finished):
    words = [*TRAIN, "--out", str(finished), "--data", "synthetic:bruma"]
    assert run([*words, "--overwrite"]) == 0
    spec = training_data(finished)
    assert spec is not None and spec.name == "synthetic:bruma"


def test_settings_and_network_of_different_runs_are_refused(runs, finished, capsys):
    rank = ["rank", "--sources", str(finished), *RANK, "--metrics", "leep"]
    shutil.copy(runs / "bruma" / "config.yaml", finished)
    assert run(rank) == FAILED_CELLS
    assert "config.yaml: damaged, or changed since" in capsys.readouterr().out
    shutil.copy(runs / "arden" / "config.yaml", finished)
    assert run(rank) == 0
    shutil.copy(runs / "bruma" / "model.safetensors", finished)
    assert run(rank) == FAILED_CELLS
    assert "model.safetensors: damaged, or changed" in capsys.readouterr().out


def test_maps_of_the_ranked_networks_go_into_the_report(finished, tmp_path, capsys):
    rank = ["rank", "--sources", str(finished), *RANK, "--metrics", "leep"]
    assert run([*rank, "--out", "mapped", "--maps", "leep"]) == 0
    text = (tmp_path / "mapped" / "report.html").read_text()
    assert 'id="maps"' in text and 'id="maps-data"' in text
    assert "'gbc' is no mean over pixels" in refused(capsys, *rank, "--maps", "gbc")


def test_results_do_not_go_over_inputs_or_results_of_another_command(
    finished, tmp_path, capsys
):
    before = content(finished)
    words = ["--sources", str(finished), *RANK, "--metrics", "leep"]
    text = refused(capsys, "rank", *words, "--out", str(finished))
    assert "is read from by this very command; choose another --out" in text
    assert content(finished) == before
    assert run(["rank", *words, "--out", "ranked"]) == 0
    before = content(tmp_path / "ranked")
    text = refused(capsys, *TRAIN, "--out", "ranked")
    assert "holds what trfjax rank wrote" in text
    refused(capsys, "rank", *words, "--out", "ranked", "--repeats", "0")
    assert content(tmp_path / "ranked") == before


def test_a_second_writer_is_refused(finished, tmp_path, capsys):
    def other():
        with locked(tmp_path / "ranked"):
            ready.set()
            done.wait(60)

    ready, done = threading.Event(), threading.Event()
    thread = threading.Thread(target=other)
    thread.start()
    ready.wait()
    words = ["--sources", str(finished), *RANK, "--metrics", "leep"]
    text = refused(capsys, "rank", *words, "--out", "ranked")
    done.set()
    thread.join()
    assert "another run (process" in text and "choose another --out" in text
    assert not (tmp_path / "ranked" / "config.yaml").exists()


def test_an_unknown_architecture_writes_nothing(tmp_path, capsys):
    assert "--model: unknown 'unett'" in refused(capsys, "train", "--model", "unett")
    assert not list(tmp_path.iterdir())


def test_info(runs, capsys):
    assert run(["info", "--model", str(runs / "arden"), "--format", "json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["name"] == "arden" and row["parameters"] > 0
    assert "available" in refused(capsys, "info", "--model", "nix")


# Ranking.


def test_rank_writes_everything(runs, tmp_path, capsys):
    sources = [str(runs / "arden"), str(runs / "bruma")]
    words = ["rank", "--sources", *sources, *RANK, "--out", "ranked"]
    words += ["--metrics", "otce", "leep", "h_score"]
    assert run(words) == 0
    found = capsys.readouterr()
    assert "Ranking of 2 sources" in found.out and "report.html" in found.err
    folder = tmp_path / "ranked"
    table = parquet.read_table(folder / "results.parquet").to_pylist()
    assert {row["source"] for row in table} == {"arden", "bruma"}
    assert len((folder / "results.csv").read_text().splitlines()) == 1 + len(table)
    assert len(read_json(folder / "results.json")["cells"]) == len(table) == 6
    assert (folder / "ranking.png").read_bytes()[:4] == b"\x89PNG"
    assert "<html" in (folder / "report.html").read_text()
    assert yaml.safe_load((folder / "config.yaml").read_text())["pixels"] == 200

    # The report can be made again, also elsewhere.
    (folder / "report.html").unlink()
    assert run(["report", "--folder", "ranked", "--out", "other/again.html"]) == 0
    assert (tmp_path / "other" / "again.html").is_file()
    assert run(["report", "--folder", "ranked"]) == 0
    assert (folder / "report.html").is_file()

    # A second call reads the cells back and prints strict JSON.
    capsys.readouterr()
    assert run([*words, "--format", "json"]) == 0
    records = json.loads(
        capsys.readouterr().out, parse_constant=lambda c: pytest.fail(c)
    )
    assert len(records) == 6


def test_a_damaged_checkpoint_is_listed_and_the_rest_is_ranked(runs, tmp_path, capsys):
    broken = tmp_path / "broken"
    shutil.copytree(runs / "bruma", broken)
    content = (broken / "model.safetensors").read_bytes()
    (broken / "model.safetensors").write_bytes(content[: len(content) // 2])
    words = ["--sources", str(broken), str(runs / "arden"), *RANK]
    assert run(["rank", *words, "--metrics", "leep"]) == FAILED_CELLS
    text = capsys.readouterr().out
    assert "Ranking of 1 sources" in text
    assert "not ranked:" in text and "model.safetensors: damaged" in text


def test_sources_of_all_three_kinds(saved, tmp_path, capsys):
    (tmp_path / "nets.py").write_text(
        "import numpy as np\n"
        "WEIGHTS = np.eye(3, 5, dtype=np.float32)\n"
        "def plain():\n"
        "    return lambda images: images @ WEIGHTS\n"
        "def broken():\n"
        "    raise RuntimeError('no weights today')\n"
    )
    own = {"name": "synthetic:arden", "size": [32, 64], "count": 4}
    sources = [
        {"name": "ours", "model": str(saved / "arden")},
        {
            "name": "saved",
            "source_features": str(saved / "source.safetensors"),
            "target_features": str(saved / "target.safetensors"),
        },
        {"name": "mine", "function": "plain", "input_size": [32, 64], "data": own},
        {"name": "late", "function": "broken", "data": own},
    ]
    (tmp_path / "sources.yaml").write_text(yaml.safe_dump(sources))
    words = ["rank", "--sources", "sources.yaml", *RANK, "--metrics", "otce", "leep"]
    assert "--code" in refused(capsys, *words)
    assert run([*words, "--code", "nets.py"]) == FAILED_CELLS
    text = capsys.readouterr().out
    assert "Ranking of 3 sources" in text
    assert "late: RuntimeError: no weights today" in text
    assert "no function 'plain'" not in text


def test_saved_features_need_no_target(saved, tmp_path, capsys):
    source = {"name": "a", "target_features": str(saved / "target.safetensors")}
    (tmp_path / "sources.yaml").write_text(yaml.safe_dump([source]))
    words = ["--sources", "sources.yaml", "--target", "camvid", "--metrics", "leep"]
    assert run(["rank", *words, "--bootstrap", "0", "--pixels", "200"]) == 0
    assert "synthetic:kestry" in capsys.readouterr().out


def test_published_folders(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for side in ("source_feature/unet", "target_feature/unet/arden"):
        for kind in ("final", "label"):
            (tmp_path / side / kind).mkdir(parents=True)
        for i in range(2):
            logits = rng.normal(size=(5, 12, 16)).astype(np.float32)
            np.save(tmp_path / side / "final" / f"{i}.npy", logits)
            np.save(
                tmp_path / side / "label" / f"{i}.npy", rng.integers(0, 4, (12, 16))
            )
    words = ["--published", ".", *RANK[2:], "--metrics", "leep"]
    assert run(["rank", *words, "--out", "ranked"]) == 0  # the only city
    assert "unet" in capsys.readouterr().out
    text = refused(capsys, "rank", *words, "--city", "nowhere")
    assert "'nowhere'; available: arden" in text
    assert "leave --sources out" in refused(capsys, "rank", *words, "--sources", "x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- {name: a}", "exactly one of model, function and target_features"),
        ("- {model: x}", "source 1 has no name"),
        ("- {name: a, modell: x}", "`modell`"),
        ("name: a", "not a list of sources"),
        ("[1", "not a list of sources"),
        ("- name: a\n  modle: b\n", "Line 2: 'modle'; did you mean 'model'?"),
        ("- {name: a, model: nix}", "source 'a': nix: no such file"),
        ("- {name: a, target_features: nix.safetensors}", "nix.safetensors: no such"),
    ],
)
def test_a_list_of_sources_that_cannot_be_used(text, message, tmp_path, capsys):
    (tmp_path / "sources.yaml").write_text(text)
    words = ["--sources", "sources.yaml", "--shots", "2"]
    assert message in refused(capsys, "rank", *words)
    assert not (tmp_path / "runs").exists()


def test_no_sources_and_missing_ones(runs, tmp_path, capsys):
    assert "trfjax train" in refused(capsys, "rank")
    text = refused(capsys, "rank", "--sources", str(runs / "arden"), "nix")
    assert "--sources: nix: no such file or folder" in text
    assert not list(tmp_path.iterdir())


def test_a_score_that_does_not_exist(runs, capsys):
    words = ["--sources", str(runs / "arden"), "--metrics", "otcee", "--shots", "2"]
    assert "'otcee' is not a score; available: " in refused(capsys, "rank", *words)


def test_a_checkpoint_alone_does_not_know_its_data(runs, tmp_path, capsys):
    shutil.copy(runs / "arden" / "model.safetensors", tmp_path / "net.safetensors")
    words = ["rank", "--sources", "net.safetensors", *RANK]
    assert "leave otce out of --metrics" in refused(capsys, *words)
    assert run([*words, "--metrics", "leep"]) == 0


def test_images_seen_in_training_are_told(runs, capsys):
    words = ["rank", "--sources", str(runs / "arden"), *RANK[2:], "--metrics", "leep"]
    words += ["--target", "synthetic:arden", "--shots", "20", "--bootstrap", "0"]
    assert run(words) == 0
    assert "of 20 target images belong to the data" in capsys.readouterr().err
    # Another seed draws other streets, of the same names.
    assert run([*words, "--seed", "1"]) == 0
    assert "belong to the data" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["rank", "--shots", "2"],
        ["train", "--steps", "1", *SMALL],
        ["demo"],
        ["extract"],
        ["report", "--folder", "ranked"],
        ["data", *SMALL],
    ],
    ids=lambda words: words[0],
)
def test_a_folder_that_cannot_be_written_to(words, runs, tmp_path, capsys):
    (tmp_path / "taken").write_text("a file, no folder")
    name = {"extract": "f.safetensors", "data": "s.png", "report": "r.html"}
    out = f"taken/{name.get(words[0], 'run')}"
    words = [*words, "--sheet" if words[0] == "data" else "--out", out]
    if words[0] == "rank":
        words += ["--sources", str(runs / "arden")]
    if words[0] == "extract":
        words += ["--model", str(runs / "arden")]
    if words[0] == "report":
        (tmp_path / "ranked").mkdir()
        (tmp_path / "ranked" / "results.json").write_text("{}")
    text = refused(capsys, *words)
    assert "taken" in text and "cannot be written to" in text
    assert (tmp_path / "taken").read_text() == "a file, no folder"


def test_a_report_of_nothing(tmp_path, capsys):
    assert "runs/rank: no such folder; give --folder" in refused(capsys, "report")
    (tmp_path / "empty").mkdir()
    text = refused(capsys, "report", "--folder", "empty")
    assert "empty: holds no results.json" in text
    (tmp_path / "empty" / "results.json").write_text("{")
    text = refused(capsys, "report", "--folder", "empty")
    assert "results.json: not valid JSON" in text


def test_debug_raises():
    with pytest.raises(FileNotFoundError):
        run(["rank", "--sources", "nix", "--debug"])


def test_extracted_features_say_where_they_are_from(saved):
    found = FeatureSet.load(saved / "target.safetensors")
    assert found.facts["model"] == "arden" and len(found) == 400
    assert len(found.image_ids) == 3


def test_compiled_programs_are_kept_for_the_next_command(monkeypatch, tmp_path):
    import os

    from trfjax.cli import keep_programs

    monkeypatch.setattr(os, "environ", {"TRFJAX_CACHE": str(tmp_path)})
    keep_programs()
    place = os.environ["JAX_COMPILATION_CACHE_DIR"]
    assert place.startswith(str(tmp_path / "programs"))
    os.environ["JAX_COMPILATION_CACHE_DIR"] = "chosen"
    keep_programs()
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == "chosen"

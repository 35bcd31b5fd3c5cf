"""`trfjax select`, called in this process, on networks that learn next to nothing."""

import pytest

from trfjax.cli import USAGE, run
from trfjax.files import read_json
from trfjax.models.checkpoint import load_model

TINY = ["--size", "32", "64"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    words = ["--width", "2", "--steps", "2", "--batch-size", "2", "--count", "4"]
    for city in ("arden", "corvale"):
        data = ["--data", f"synthetic:{city}"]
        assert run(["train", *data, *words, *TINY, "--out", str(folder / city)]) == 0
    return folder


def test_it_writes_the_network_and_says_what_it_cost(runs, capsys):
    words = ["--sources", str(runs / "arden"), str(runs / "corvale"), *TINY]
    words += ["--target", "synthetic:kestry", "--shots", "4", "--steps", "4"]
    words += ["--batch-size", "2", "--budget", "20", "--metrics", "logme"]
    words += ["--out", str(runs / "chosen")]
    assert run(["select", *words]) == 0
    printed = capsys.readouterr().out
    found = read_json(runs / "chosen" / "selection.json")
    assert f"{found['best']}: best by accuracy with probability" in printed
    assert found["steps"] <= 20 and found["all_steps"] == (2 * 2 + 1) * 4
    assert load_model(runs / "chosen" / "model.safetensors").card.name == found["best"]
    assert run(["select", *words]) == 0  # read back
    assert read_json(runs / "chosen" / "selection.json")["race"] == found["race"]


def test_what_is_missing_is_told(tmp_path, capsys):
    assert run(["select", "--out", str(tmp_path / "out")]) == USAGE
    assert "--sources: none given" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()

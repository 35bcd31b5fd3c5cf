import os
import subprocess
import sys
from pathlib import Path

import pytest

from trfjax.files import read_json
from trfjax.studies import zoo
from trfjax.studies.runs import DataSpec

ROOT = Path(__file__).parents[2]


@pytest.fixture
def inline(monkeypatch):
    """Calls run here instead of in a process of their own; how many is counted."""
    calls = []

    def alone(function, *args):
        calls.append(function.__name__)
        return function(*args)

    monkeypatch.setattr(zoo, "alone", alone)
    return calls


def test_a_result_is_kept_until_what_it_depends_on_changes(tmp_path, inline):
    path = tmp_path / "a" / "done.json"

    def double(x):
        return {"twice": 2 * x}

    assert zoo.kept(path, "one", double, 3) == {"key": "one", "twice": 6}
    assert zoo.kept(path, "one", double, 4)["twice"] == 6
    assert zoo.kept(path, "two", double, 4)["twice"] == 8
    path.write_text("{")
    assert zoo.kept(path, "two", double, 5)["twice"] == 10
    assert len(inline) == 3


@pytest.mark.slow
def test_another_process_has_a_memory_of_its_own():
    ballast = bytearray(b"x" * 2**30)
    assert zoo.peak_memory() > 1
    assert zoo.alone(zoo.peak_memory) < 1
    assert zoo.alone(os.getpid) != os.getpid() and len(ballast)


def test_a_table_is_markdown():
    text = zoo.table(["name", "value"], [["a", 0.12345], ["b", 7]])
    assert text == "| name | value |\n| --- | --- |\n| a | 0.123 |\n| b | 7 |"


@pytest.mark.slow
def test_an_entry_is_trained_once(tmp_path, inline):
    data = DataSpec(name="synthetic:arden", count=10, size=(64, 128))
    found = zoo.train_entry("bisenet", data, tmp_path, steps=2)
    again = zoo.train_entry("bisenet", data, tmp_path, steps=2)
    assert found == again == read_json(tmp_path / "done.json")
    assert inline == ["_train"]
    assert found["steps"] == 2 and found["images"] == [8, 2]
    assert found["parameters"] > 700_000 and 0 <= found["miou"] <= 1
    (tmp_path / zoo.MODEL).unlink()
    zoo.train_entry("bisenet", data, tmp_path, steps=2)
    assert inline == ["_train", "_train"]


@pytest.mark.slow
def test_the_script_trains_what_is_asked_for(tmp_path):
    command = [sys.executable, ROOT / "scripts" / "train_zoo.py", "--out", tmp_path]
    command += ["--only", "unet", "--images", "10", "--steps", "2"]
    first, second = (
        subprocess.run(command, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    )
    assert "| unet | 8 | 486,697 | 64 x 128 | 2 |" in first
    assert first == second  # read back

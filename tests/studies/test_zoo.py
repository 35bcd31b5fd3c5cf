import subprocess
import sys
from pathlib import Path

import pytest

from trfjax.studies import zoo
from trfjax.studies.specs import DataSpec

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


@pytest.mark.slow
def test_an_entry_is_trained_once(tmp_path, inline):
    data = DataSpec(name="synthetic:arden", count=10, size=(64, 128))
    found = zoo.train_entry("bisenet", data, tmp_path, steps=2)
    again = zoo.train_entry("bisenet", data, tmp_path, steps=2)
    assert found == again
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

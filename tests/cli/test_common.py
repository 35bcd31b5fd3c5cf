"""The options that every command takes."""

import logging

import pytest

from trfjax.cli import USAGE, run
from trfjax.cli.common import common


def test_they_are_taken_out(monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "")
    words = ["--a", "--quiet", "--device", "gpu", "1"]
    assert common(words) == (["--a", "1"], True)
    import os

    assert os.environ["JAX_PLATFORMS"] == "cuda"
    assert common(["--a"]) == (["--a"], False)
    with pytest.raises(ValueError, match="--device: 'abacus' is none of cpu, gpu, tpu"):
        common(["--device", "abacus"])


def test_verbose_tells_what_is_read_back(monkeypatch):
    log = logging.getLogger("trfjax")
    monkeypatch.setattr(log, "level", log.level)
    common(["--verbose"])
    assert log.isEnabledFor(logging.INFO)


def test_quiet_leaves_results_and_errors(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["data", "--count", "2", "--size", "32", "32", "--quiet"]
    assert run(words) == 0
    said = capsys.readouterr()
    assert said.err == "" and "road" in said.out
    assert run([*words, "--data", "synthetic:atlantis"]) == USAGE
    assert "atlantis" in capsys.readouterr().err
    assert run(["data", "--device", "abacus"]) == USAGE
    assert "--device: 'abacus'" in capsys.readouterr().err

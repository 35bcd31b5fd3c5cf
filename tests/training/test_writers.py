"""Curves after each step, to a table and to TensorBoard."""

import sys
from types import SimpleNamespace

import pytest

from trfjax.training.writers import CsvWriter, TensorBoardWriter


def test_a_table_that_goes_on(tmp_path):
    path = tmp_path / "logs" / "loss.csv"
    CsvWriter(path)(1, 0.5)
    CsvWriter(path)(2, 0.25)  # of a run that was resumed
    assert path.read_text() == "step,loss\n1,0.5\n2,0.25\n"


def test_tensorboard_gets_every_value(tmp_path, monkeypatch):
    said = []

    class SummaryWriter:
        def __init__(self, folder):
            said.append(folder)

        def add_scalar(self, *value):
            said.append(value)

    fake = SimpleNamespace(SummaryWriter=SummaryWriter)
    monkeypatch.setitem(sys.modules, "tensorboardX", fake)
    TensorBoardWriter(tmp_path, tag="mine")(3, 0.5)
    assert said == [str(tmp_path), ("mine", 0.5, 3)]
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match="'tensorboard' extra"):
        TensorBoardWriter(tmp_path)

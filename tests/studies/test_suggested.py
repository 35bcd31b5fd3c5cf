"""Suggested images against drawn ones: pairs, what is kept, and settings refused."""

import dataclasses

import numpy as np
import pytest

from tests.training.cases import network, squares
from trfjax.statistics.interval import mean_interval
from trfjax.studies import suggested
from trfjax.studies.sources import SourceRun
from trfjax.studies.suggested import Choosing, Draw, draws, gains
from trfjax.transfer.start import FINETUNE

QUICK = dataclasses.replace(FINETUNE, steps=2, batch_size=2)


def choosing(**changes):
    options = {
        "pool": squares(6), "test": squares(2, seed=9), "candidates": 4, "count": 2,
        "recipe": QUICK,
    }  # fmt: skip
    return Choosing(**options | changes)


def source():
    return SourceRun(trained=network(), key={"a": 1}, evaluation={}, seconds=0.0)


def test_both_choices_are_measured_once(tmp_path, monkeypatch):
    first = list(draws("one", source(), choosing(), (0, 1), tmp_path))
    assert [one.seed for one in first] == [0, 1]
    assert set(first[0].measured) == {"suggest", "random"}
    monkeypatch.setattr(suggested, "finetune", None)  # would fail if it were called
    assert list(draws("one", source(), choosing(), (0, 1), tmp_path)) == first


def test_gains_are_paired():
    def one(seed, suggest, random):
        measured = {"suggest": {"miou": suggest}, "random": {"miou": random}}
        return Draw(source="s", seed=seed, measured=measured)

    found = gains([one(0, 0.5, 0.4), one(1, 0.3, 0.25), one(2, 0.2, 0.2)])
    by_hand = mean_interval(np.array([0.1, 0.05, 0.0]))
    assert found.ends == pytest.approx(by_hand.ends)
    assert found.value == pytest.approx(0.05)


@pytest.mark.parametrize("changes", [{"count": 4}, {"count": 0}, {"candidates": 7}])
def test_numbers_that_do_not_fit(changes):
    with pytest.raises(ValueError, match=r"count, candidates: .* of the 6 images"):
        choosing(**changes)

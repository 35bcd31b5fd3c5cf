import numpy as np
import pytest

from tests.studies.sweep.made import asked, data
from trfjax.ranking.cell import Cell
from trfjax.reporting.sweep import quality_text
from trfjax.statistics.reliability import reliability
from trfjax.store import Record
from trfjax.studies.sweep.cells import SweepCell
from trfjax.studies.sweep.quality import judge_sweep
from trfjax.studies.sweep.result import FACTS, SweepResult
from trfjax.studies.sweep.written import sweep_of

NAMES = [f"source {i}" for i in range(8)]
TARGETS = [f"target {i}" for i in range(6)]


def record(value, error=""):
    return Record(
        name="", key={}, value=value, arrays={}, files=(), error=error, seconds=1.0
    )


@pytest.fixture(scope="module")
def made():
    """Sources that differ by target: leep sees that, logme is drawn by lot."""
    rng = np.random.default_rng(0)
    truth = 0.5 + 0.1 * rng.normal(size=(6, 8))
    sweep = sweep_of(
        asked(
            sources=[{"name": n, "data": data("arden")} for n in NAMES],
            targets=[{"name": n, "data": data("ilmar")} for n in TARGETS],
        )
    )
    records = {}
    for t, target in enumerate(TARGETS):
        for s, source in enumerate(NAMES):
            for seed in (0, 1):
                known = truth[t, s] + 0.02 * rng.normal()
                for name, score in (("leep", known), ("logme", rng.normal())):
                    cell = Cell(source, target, name, score=float(score))
                    place = SweepCell("score", name, source, target, seed)
                    records[place] = record(cell.record())
                facts = dict.fromkeys(FACTS) | {"source_accuracy": 0.1 * s}
                facts |= {"source_images": s, "parameters": 9}
                place = SweepCell("facts", "facts", source, target, seed)
                records[place] = record(facts)
                values = {"full": truth[t, s] + 0.02 * rng.normal(), "scratch": 0.1}
                for method, value in values.items():
                    place = SweepCell("transfer", method, source, target, seed)
                    value = float(value)
                    records[place] = record(
                        {"accuracy": value, "miou": value, "log_likelihood": -value}
                    )
    return SweepResult(sweep, records)


def test_a_score_that_sees_is_told_from_one_that_does_not(made):
    found = judge_sweep(made)
    rows = {row.predictor: row for row in found.rows}
    assert set(rows) == {"leep", "logme", "source_accuracy", "source_images",
                         "parameters", "static"}  # fmt: skip
    assert rows["leep"].spearman > 0.8 and rows["leep"].over_targets.low > 0.7
    assert rows["leep"].gain.above_zero and not rows["logme"].gain.above_zero
    assert 0.7 < rows["leep"].skill <= 1.1 and rows["static"].skill == 0
    assert abs(rows["logme"].spearman) < 0.4
    assert np.isnan(rows["parameters"].spearman)  # all are of one size
    assert rows["leep"].measures["regret@1"] < found.chance / 3
    assert rows["leep"].measures["regret@3"] <= rows["leep"].measures["regret@1"]
    assert rows["leep"].corrected > rows["leep"].spearman
    assert rows["leep"].targets == found.targets == 6


def test_what_it_is_held_against(made):
    found = judge_sweep(made, "miou")
    values = {}
    for row in made.rows():
        if row["method"] == "full":
            values.setdefault((row["target"], row["source"]), []).append(row["miou"])
    truth = np.array([[np.mean(values[t, s]) for s in NAMES] for t in TARGETS])
    lost = truth.max(axis=1, keepdims=True) - truth
    assert found.chance == pytest.approx(lost.mean())
    assert found.scratch == pytest.approx(np.mean(truth.max(axis=1) - 0.1))
    agree = np.mean([reliability(np.array([values[t, s] for s in NAMES]))
                     for t in TARGETS])  # fmt: skip
    assert found.ceiling == pytest.approx(np.sqrt(2 * agree / (1 + agree)))


def test_a_log_likelihood_has_no_gain(made):
    (row, *_) = judge_sweep(made, "log_likelihood").rows
    assert "ndcg" not in row.measures and "rel@1" not in row.measures
    assert "ndcg" in judge_sweep(made).rows[0].measures


def test_it_is_told_in_words(made):
    text = quality_text(judge_sweep(made))
    assert text.startswith("Prediction of accuracy after full on 6 targets; noise")
    lines = {line[:20].strip(): line for line in text.splitlines()}
    assert {"leep", "static", "random choice", "random weights"} <= set(lines)
    assert max(map(len, text.splitlines())) <= 88


def test_nothing_measured():
    sweep = sweep_of(asked())
    found = judge_sweep(SweepResult(sweep, {}))
    assert found.targets == 0 and not found.rows and found.scratch is None

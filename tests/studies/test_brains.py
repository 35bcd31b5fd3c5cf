import dataclasses

import numpy as np
import pytest

from trfjax.studies import brains
from trfjax.studies.brains import CLASSES, FULL, QUICK, Study
from trfjax.studies.findings import Measured
from trfjax.studies.problems import named
from trfjax.training.patients import PatientEvaluation, Series

TINY = Study(
    sources=("TC-alder-T2", "GMWM-willow-T2"), targets=("TC-cedar-T2",), patients=2,
    shots=2, test=2, side=32, width=2, source_steps=2, steps=2,
)  # fmt: skip


def test_the_study_is_as_large_as_it_says():
    adults = [named(s) for s in FULL.sources if "willow" not in s]
    assert len({(p.task, p.modality) for p in adults}) == 16
    assert len(FULL.sources) == 36 and len(FULL.targets) == 16
    places = {named(name).institution for name in (*FULL.sources, *FULL.targets)}
    assert places == {"alder", "birch", "cedar", "hazel", "willow"}
    sources = {named(name).institution for name in FULL.sources}
    assert not sources & {named(name).institution for name in FULL.targets}
    assert set(QUICK.targets) == {
        f"{task}-cedar-{m}" for task in ("TC", "ED") for m in ("T1CE", "FLAIR")
    }


def test_patients_of_the_test_are_not_those_that_are_labelled():
    shots, test = brains.target_data(named("TC-cedar-T2"), TINY)
    assert len(set(shots.groups)) == len(set(test.groups)) == 2
    assert not set(shots.groups) & set(test.groups)
    assert shots.class_names == CLASSES and shots[0]["image"].shape == (32, 32, 1)


def test_a_patient_without_the_structure_has_no_dice():
    truth = np.zeros((1, 2, 2), int)
    series = (Series("anna", truth + 1, truth + 1), Series("ben", truth, truth + 1))
    found = PatientEvaluation(CLASSES, series, 255)
    np.testing.assert_array_equal(brains._structure_dice(found), [1.0, np.nan])


def test_what_was_measured_is_read_back(tmp_path, monkeypatch):
    made = Measured(
        target="TC-cedar-T2", sources=TINY.sources,
        dice=np.array([[0.5, np.nan], [0.1, 0.2]]),
        scratch=np.array([0.0, 0.1]), together=np.array([0.4, np.nan]),
        first=np.array([0.3, 0.3]), scores={"h_score": np.array([1.0, 2.0])},
    )  # fmt: skip
    calls = []

    def measure(name, models, study):
        calls.append(name)
        return made

    monkeypatch.setattr(brains, "measure", measure)
    monkeypatch.setattr(brains, "learn", lambda problem, study: None)
    for _ in range(2):
        (found,) = brains.run(TINY, tmp_path)
        np.testing.assert_array_equal(found.dice, made.dice)
        np.testing.assert_array_equal(found.scores["h_score"], [1.0, 2.0])
        assert found.sources == TINY.sources
    assert calls == ["TC-cedar-T2"]
    list(brains.run(dataclasses.replace(TINY, seed=1), tmp_path))
    assert len(calls) == 2  # another study is not read back


@pytest.mark.slow
def test_a_tiny_study_from_one_end_to_the_other(tmp_path):
    (found,) = brains.run(TINY, tmp_path)
    assert found.dice.shape == (2, 2) and found.together.shape == (2,)
    assert set(found.scores) == {"h_score", "otce"}
    known = found.dice[~np.isnan(found.dice)]
    assert (known >= 0).all() and (known <= 1).all()
    assert np.isfinite(found.scores["otce"]).all()

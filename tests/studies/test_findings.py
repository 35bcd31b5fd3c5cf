import dataclasses

import numpy as np
import pytest

from trfjax.data.brains import BINARY
from trfjax.reporting.structures import (
    correlations,
    first_choices,
    matrix,
    statements,
)
from trfjax.studies.findings import Measured, findings, footrules

SOURCES = ("TC-alder-T2", "TC-alder-T1", "ET-alder-T2", "WT-alder-T2", "ED-alder-T2",
           "CSF-willow-T1")  # fmt: skip


def measured(levels, target="TC-hazel-T2", scores=None, patients=4):
    """Sources at these levels; patients differ a little, the same way for all."""
    around = np.linspace(-0.02, 0.02, patients)
    noise = 0.001 * np.random.default_rng(0).normal(size=(len(levels), patients))
    dice = np.array(levels)[:, None] + around + noise
    return Measured(
        target=target,
        sources=SOURCES,
        dice=dice,
        scratch=0 * around,
        together=0.5 + around,
        first=0.4 + around,
        scores={"h_score": np.array(scores or levels)},
    )


def test_findings_are_differences_of_group_means():
    found = findings([measured([0.9, 0.5, 0.8, 0.6, 0.7, 0.1])], BINARY)
    related, modality, complementary, smaller, many = found
    # Related: all but CSF, mean 0.7; unrelated: 0.1.
    assert related.gain.value == pytest.approx(0.6, abs=2e-3)
    assert related.verdict == "holds" and related.agreeing == related.targets == 1
    # Same modality, another task: ET, WT, ED, mean 0.7; the same task on T1: 0.5.
    assert modality.gain.value == pytest.approx(0.2, abs=2e-3)
    # No exclusive task in the same modality: nothing to compare.
    assert complementary.targets == 0 and complementary.verdict == "not shown"
    assert smaller.gain.value == pytest.approx(0.2, abs=2e-3)
    assert many.gain.value == pytest.approx(0.1) and many.gain.count == 4


def test_the_reverse_is_said_and_noise_shows_nothing():
    worse = findings([measured([0.9, 0.9, 0.2, 0.6, 0.7, 0.9])], BINARY)
    assert worse[3].verdict == "the reverse holds" and worse[3].agreeing == 0
    noisy = measured([0.5] * 6)
    dice = noisy.dice.copy()
    dice[2] += [0.3, -0.3, 0.2, -0.2]
    noisy = dataclasses.replace(noisy, dice=dice)
    assert findings([noisy], BINARY)[3].verdict == "not shown"


def test_targets_of_one_hospital_share_their_patients():
    """Four patients are four draws, however many targets they are measured on."""
    levels = [0.9, 0.5, 0.8, 0.6, 0.7, 0.1]
    two = [measured(levels), measured(levels, target="TC-hazel-T1CE")]
    assert findings(two, BINARY)[0].gain.count == 4
    two = [measured(levels), measured(levels, target="TC-cedar-T2")]
    assert findings(two, BINARY)[0].gain.count == 8


def test_a_patient_without_the_structure_is_left_out():
    one = measured([0.9, 0.5, 0.8, 0.6, 0.7, 0.1])
    dice = one.dice.copy()
    dice[:, 2] = np.nan
    found = findings([dataclasses.replace(one, dice=dice)], BINARY)
    assert found[0].gain.count == 3


def test_footrules_with_the_filter_count_among_what_is_left():
    levels = [0.9, 0.5, 0.8, 0.6, 0.7, 0.1]
    m = measured(levels, scores=[0.5, 0.4, 0.3, 0.2, 0.1, 0.9])
    # By Dice: TC-T2, ET, ED, WT, TC-T1, CSF; by score at places 2, 4, 6, 5, 3, 1.
    assert footrules(m, "h_score", BINARY, filtered=False) == (1, 3, 6, 7)
    # Without CSF: TC-T2, ET, ED, WT, TC-T1 at places 1, 3, 5, 4, 2.
    assert footrules(m, "h_score", BINARY, filtered=True) == (0, 1, 3, 3)


def test_tables_say_what_was_measured():
    found = [measured([0.9, 0.5, 0.8, 0.6, 0.7, 0.1])]
    assert "| TC-alder-T2 | 0.90 |" in matrix(found)
    assert "holds" in statements(findings(found, BINARY))
    assert "| TC-hazel-T2 | 1.00 |" in correlations(found)
    table = first_choices(found, BINARY)
    assert "ET-22-T2 (published)" in table and "| 0, 0, 0, 0 | 0, 0, 0, 0 |" in table

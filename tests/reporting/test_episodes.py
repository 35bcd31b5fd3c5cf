import csv
import io
from typing import Any

import numpy as np
import pytest

from trfjax.episodes.bulk import BulkResult
from trfjax.reporting.episodes import accuracy, as_csv, difference, draw, line

PUBLISHED = {"vanilla": 86.43, "guided": 91.29}


def result(accuracies, alignment=None, stopped=-1, likelihoods: Any = -0.5):
    count = len(accuracies)
    return BulkResult(
        accuracy=np.array(accuracies),
        log_likelihood=np.broadcast_to(likelihoods, count).astype(float),
        losses=np.ones((count, 3)),
        stopped=np.full(count, stopped),
        alignment={"task_difference": alignment} if alignment is not None else {},
        alignment_stopped=np.full(count, -1),
    )


@pytest.fixture
def found():
    return {
        "vanilla": result([0.8, 0.9, 0.7]),
        "guided": result([0.84, 0.92, 0.74], np.array([[0.9, 0.4]] * 3)),
        "lost": result([0.3, 0.4, 0.2], stopped=1),
    }


def test_intervals_are_in_per_cent_and_paired(found):
    assert accuracy(found["vanilla"]).value == pytest.approx(80)
    gain = difference(found["guided"], found["vanilla"])
    # Differences 4, 2 and 4: mean 10/3, deviation 2/sqrt(3), t of two degrees 4.3027.
    reach = 4.30265 * 2 / np.sqrt(3) / np.sqrt(3)
    np.testing.assert_allclose(
        (gain.value, *gain.ends), [10 / 3, 10 / 3 - reach, 10 / 3 + reach], 1e-5
    )


def test_a_row_says_what_was_published_and_what_was_found(found):
    text = line("guided", found, PUBLISHED)
    assert "91.29" in text and "83.33 [" in text and "+3.33 [+0.46, +6.20]" in text
    assert "W_T 0.90 to 0.40" in text and "diverged" not in text
    assert "3 diverged" in line("lost", found, PUBLISHED)
    assert "+" not in line("vanilla", found, PUBLISHED)


def test_the_likelihood_is_compared_too(found):
    found["calm"] = result([0.8, 0.9, 0.7], likelihoods=[-0.4, -0.3, -0.2])
    # Differences .1, .2 and .3: mean .2, deviation .1, t of two degrees 4.3027.
    reach = 4.30265 * 0.1 / np.sqrt(3)
    low, high = f"{0.2 - reach:+.3f}", f"{0.2 + reach:+.3f}"
    assert f"-0.300 nats  +0.200 [{low}, {high}]" in line("calm", found, PUBLISHED)
    row = list(csv.DictReader(io.StringIO(as_csv("task", PUBLISHED, found))))[-1]
    assert (row["log_likelihood"], row["log_likelihood_gain"]) == ("-0.300", "0.200")


def test_the_csv_holds_every_episode(found):
    rows = list(csv.DictReader(io.StringIO(as_csv("task", PUBLISHED, found))))
    assert [row["method"] for row in rows] == ["vanilla", "guided", "lost"]
    assert rows[1]["published"] == "91.29" and rows[2]["published"] == ""
    assert float(rows[1]["gain"]) == pytest.approx(10 / 3, abs=1e-3)
    assert [float(rows[1][f"episode_{i}"]) for i in range(3)] == [0.84, 0.92, 0.74]
    assert rows[2]["diverged"] == "3"


def test_the_figure_is_written(found, tmp_path):
    path = tmp_path / "few.png"
    draw(path, "task", PUBLISHED, found)
    assert path.read_bytes().startswith(b"\x89PNG")

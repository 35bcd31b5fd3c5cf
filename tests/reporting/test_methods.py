import csv
import io

import numpy as np
import pytest

from trfjax.reporting.methods import baseline, describe, draw, gain, table


def runs(*accuracies):
    return [
        {"miou": a / 2, "accuracy": a, "log_likelihood": -a, "seconds": 2.0}
        for a in accuracies
    ]


ROWS = {"full": runs(0.5, 0.6), "longer": runs(0.6, 0.6), "guided": runs(0.8, 0.7)}


def test_guided_is_held_against_as_many_updates():
    assert baseline(ROWS, "guided") == "longer"
    assert baseline({"full": [], "guided": []}, "guided") == "full"
    assert baseline(ROWS, "longer") == "full" and baseline(ROWS, "full") == ""


def test_gains_are_paired_by_seed():
    found = gain(ROWS["guided"], ROWS["longer"], "accuracy")
    # Differences of 20 and 10 points: t of one degree of freedom is 12.706.
    assert found.value == pytest.approx(15)
    assert found.high - found.value == pytest.approx(12.7062 * 5, rel=1e-4)
    assert gain(ROWS["guided"], ROWS["longer"], "log_likelihood").value == (
        pytest.approx(-0.15)
    )


def test_the_table_has_a_line_for_every_method_and_measure():
    lines = list(csv.DictReader(io.StringIO(table({"a to b": ROWS}))))
    assert len(lines) == 9
    (line,) = (r for r in lines if (r["method"], r["measure"]) == ("guided", "miou"))
    assert line["against"] == "longer" and line["runs"] == "2"
    np.testing.assert_allclose(float(line["mean"]), 100 * 0.375)
    np.testing.assert_allclose(float(line["gain"]), 100 * 0.075)
    assert [r["gain"] for r in lines if r["method"] == "full"] == [None] * 3


def test_the_words_name_what_is_compared():
    assert "accuracy - longer 15.00" in describe(ROWS, "guided")
    assert " - " not in describe(ROWS, "full")


def test_the_figure_has_a_panel_for_every_pair():
    figure = draw({"a to b": ROWS, "c to d": ROWS}, "accuracy")
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["a to b", "c to d"]

"""Scores of resampled images, against the score of the rows themselves."""

import numpy as np
import pytest

from trfjax.ranking import bootstrap
from trfjax.ranking.bootstrap import weighted_replicates
from trfjax.scores import SCORES
from trfjax.scores.example import example_case

IMAGES = 4
ROWS = np.array(
    [[1, 1, 1, 1], [2, 0, 1, 1], [0, 2, 2, 0], [4, 0, 0, 0], [0, 1, 1, 1]], np.float32
)
WEIGHTED = [
    name for name, spec in SCORES.items()
    if spec.weighted and spec.labels == "ids" and not spec.two_sided
]  # fmt: skip


def settings_of(name, case):
    counts = {"num_classes": case.num_classes, "ignore": -1}
    if SCORES[name].source_ids:
        counts["num_source_classes"] = 4
    return counts


@pytest.mark.filterwarnings("ignore::trfjax.errors.ScoreWarning")
@pytest.mark.parametrize("name", WEIGHTED)
def test_they_are_the_scores_of_the_repeated_rows(name):
    spec, case = SCORES[name], example_case()
    images = case.arrays["target_images"]
    settings = settings_of(name, case)
    found = weighted_replicates(
        spec, case.arrays, case.labels, images, ROWS, **settings
    )
    assert found.dtype == np.float64 and found.shape == (5,)
    for row, value in zip(ROWS, found, strict=True):
        index = np.repeat(np.arange(48), row[images].astype(int))
        again = case.rows(index)
        expected = float(spec(again.arrays, again.labels, **settings))
        np.testing.assert_allclose(value, expected, rtol=20 * spec.rtol, atol=1e-5)


def test_more_than_are_worked_on_together(monkeypatch):
    spec, case = SCORES["leep"], example_case()
    settings = settings_of("leep", case)
    given = spec, case.arrays, case.labels, case.arrays["target_images"]
    many = np.tile(ROWS, (4, 1))  # 20, in parts of 8
    assert len(many) % bootstrap.TOGETHER
    found = weighted_replicates(*given, many, **settings)
    few = weighted_replicates(*given, ROWS, **settings)
    np.testing.assert_allclose(found, np.tile(few, 4), rtol=1e-6)


def test_multiplicities_count_by_image_not_by_row():
    """Images of unlike sizes: the weight of a row is that of its image."""
    spec, case = SCORES["nce"], example_case()
    images = np.minimum(np.arange(48) // 5, 3)  # 5, 5, 5 and 33 rows
    settings = settings_of("nce", case)
    found = weighted_replicates(
        spec, case.arrays, case.labels, images, ROWS[1:2], **settings
    )
    weights = ROWS[1][images]
    expected = spec(case.arrays, case.labels, weights=weights, **settings)
    assert found[0] == pytest.approx(float(expected), rel=1e-6)

"""Every score that is not ranked by default is ranked like those that are."""

import numpy as np
import pytest

import trfjax
from tests.ranking.test_rank import dataset, sources
from tests.ranking.test_rank_all import with_taps
from trfjax.ranking.rank import rank
from trfjax.scores import DEFAULT, SCORES

FURTHER = [name for name, spec in SCORES.items() if name not in DEFAULT]
FURTHER = [name for name in FURTHER if not SCORES[name].two_sided]
UNLABELLED = [name for name in FURTHER if SCORES[name].labels == "none"]


@pytest.fixture(scope="module")
def ranking():
    models = {"keen": with_taps(60), "blind": with_taps(0)}
    return rank(
        sources(**models),
        dataset("target"),
        metrics=FURTHER,
        bootstrap=20,
        features={n: "logits" for n in FURTHER if SCORES[n].any_space},
        progress=False,
    )


@pytest.mark.parametrize("name", FURTHER)
def test_every_score_is_ranked_with_intervals(ranking, name):
    keen, blind = sorted(ranking.column(name), key=lambda c: c.source == "blind")
    assert keen.status == "ok", keen.error
    assert len(keen.replicates) == 20 and len(keen.left_out) == 4
    # CC-FV compares images: a resample of one image four times has no pair.
    assert np.isfinite(keen.replicates).mean() >= (0.8 if name == "ccfv" else 1)
    assert np.isfinite(keen.left_out).all()
    assert np.isfinite(keen.interval()).all()
    of_sums = SCORES[name].of_sums is not None
    assert ranking.settings["pixels"][name] == ("all" if of_sums else 10_000)
    # A blind network has constant logits, of which some scores say nothing.
    if np.isfinite(blind.score) and name not in UNLABELLED:
        assert keen.score > blind.score


def test_they_are_plotted_and_reported(ranking, tmp_path):
    _, ax = trfjax.plot(ranking, metric="linear_probe")
    assert "Linear probe (balanced accuracy)" in ax.get_xlabel()
    text = trfjax.report(ranking, tmp_path / "report.html").read_text()
    for name in FURTHER:
        assert SCORES[name].title in text

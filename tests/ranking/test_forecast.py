import numpy as np
import pytest

from tests.ranking.test_history import ROWS, history
from tests.ranking.test_rank import QUICK, dataset, sees, sources
from trfjax.ranking.cell import Cell
from trfjax.ranking.forecast import forecasts
from trfjax.ranking.rank import rank
from trfjax.ranking.result import read_ranking

CELLS = [
    Cell("b", "new", "leep", score=-2.0),
    Cell("broken", "new", "leep", "failed", error="no file"),
    Cell("a", "new", "leep", score=-1.0),
]


def test_forecasts_are_those_of_the_history_best_first():
    found = forecasts(history(), CELLS, "new")
    assert [f.source for f in found] == ["a", "b"]
    expected = history().predict(ROWS)
    np.testing.assert_allclose([f.mean for f in found], expected.mean)
    np.testing.assert_allclose([f.low for f in found], expected.low)
    assert found[0].measured == "miou"
    assert found[0].best + found[1].best == pytest.approx(1)
    assert found[0].within >= found[0].best


def test_without_a_score_there_is_no_forecast():
    assert forecasts(history(), CELLS[1:2], "new") == ()


def test_a_ranking_shows_and_keeps_its_forecasts(tmp_path):
    found = rank(
        sources(a=sees(60), b=sees(3)),
        dataset("target"),
        **{**QUICK, "metrics": ("leep",)},
        history=history(),
    )
    assert [f.source for f in found.forecasts] == ["a", "b"]
    assert "miou after fine-tuning, by the history:" in str(found)
    assert found.records()[0]["forecast"] == found.forecasts[0].mean
    found.to_json(tmp_path / "ranking.json")
    assert read_ranking(tmp_path / "ranking.json").forecasts == found.forecasts


def test_a_history_of_other_scores_is_refused():
    with pytest.raises(ValueError, match="leep is not among the metrics; rank by"):
        rank(
            sources(a=sees(60)),
            dataset("target"),
            **{**QUICK, "metrics": ("nce",)},
            history=history(),
        )

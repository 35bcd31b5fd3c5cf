import dataclasses

import numpy as np
import pytest
from scipy import stats

from tests.ranking.test_rank import dataset, sources
from tests.ranking.test_rank_all import with_taps
from trfjax.ranking.cell import Cell
from trfjax.ranking.panel import Panel, panel_cells, panel_of
from trfjax.ranking.rank import rank

SCORES = {"a": [1.0, 4.0, 2.0], "b": [0.3, 0.1, 0.2]}


def cells(scores, replicates=0, seed=0):
    rng = np.random.default_rng(seed)
    return [
        Cell(
            source=f"s{i}",
            target="t",
            metric=metric,
            score=value,
            replicates=tuple(rng.normal(size=replicates)),
            left_out=tuple(rng.normal(size=4)) if replicates else (),
        )
        for metric, column in scores.items()
        for i, value in enumerate(column)
    ]


def values(found):
    return [cell.score for cell in found]


def by_hand(how, column):
    column = np.asarray(column)
    if how == "ranks":
        return (stats.rankdata(column) - 0.5) / len(column)
    if how == "range":
        return (column - column.min()) / (column.max() - column.min())
    return (column - column.mean()) / column.std()


@pytest.mark.parametrize("how", ["ranks", "standardised", "range"])
def test_equals_the_definition(how):
    panel = Panel(metrics=("a", "b"), weights=(1.0, 3.0), how=how)
    expected = (by_hand(how, SCORES["a"]) + 3 * by_hand(how, SCORES["b"])) / 4
    np.testing.assert_allclose(values(panel_cells(cells(SCORES), panel)), expected)


def test_energy_and_classification_by_range():
    """ETran: 0.15 of the energy and 0.85 of the classification score, both to 0..1."""
    panel = Panel(metrics=("a", "b"), weights=(0.15, 0.85), how="range")
    expected = [0.85, 0.15, 0.15 / 3 + 0.85 / 2]
    np.testing.assert_allclose(values(panel_cells(cells(SCORES), panel)), expected)


def test_intervals_are_of_the_same_resamples():
    panel = Panel(metrics=("a", "b"))
    given = cells(SCORES, replicates=5)
    found = panel_cells(given, panel)
    for b in range(5):
        columns = {
            m: [c.replicates[b] for c in given if c.metric == m] for m in ("a", "b")
        }
        expected = np.mean([by_hand("ranks", column) for column in columns.values()], 0)
        np.testing.assert_allclose([c.replicates[b] for c in found], expected)
    assert {len(c.left_out) for c in found} == {4}
    assert all(np.isfinite(c.interval()).all() for c in found)


def test_equal_scores_and_a_single_source():
    for how in ("ranks", "standardised", "range"):
        panel = Panel(metrics=("a", "b"), how=how)
        level = 0.5 if how == "ranks" else 0
        same = panel_cells(cells({"a": [2.0, 2.0], "b": [1.0, 1.0]}), panel)
        np.testing.assert_allclose(values(same), level)
        alone = panel_cells(cells({"a": [2.0], "b": [1.0]}), panel)
        np.testing.assert_allclose(values(alone), level)


def test_a_source_without_one_of_the_scores_has_no_place():
    given = cells(SCORES)
    given[0] = dataclasses.replace(
        given[0], score=float("nan"), status="failed", error="ValueError: no head"
    )
    found = panel_cells(given, Panel(metrics=("a", "b")))
    assert found[0].status == "failed" and "a has no value" in found[0].error
    np.testing.assert_allclose(values(found[1:]), [0.5, 0.5])  # first in one each


def test_panels_that_cannot_be_made():
    with pytest.raises(ValueError, match="how: 'votes' is none of ranks"):
        panel = Panel(metrics=("a", "b"))
        object.__setattr__(panel, "how", "votes")
        panel.__post_init__()
    with pytest.raises(ValueError, match="combine: a alone makes no panel"):
        panel_of("ranks", ("a",))
    with pytest.raises(ValueError, match="combine: 'c' is not among the metrics"):
        panel_of(Panel(metrics=("a", "c")), ("a", "b"))
    with pytest.raises(ValueError, match="weights: 1 for 2 metrics"):
        Panel(metrics=("a", "b"), weights=(1.0,))
    with pytest.raises(ValueError, match="not all positive"):
        Panel(metrics=("a", "b"), weights=(1.0, 0.0))
    with pytest.raises(ValueError, match="name of a metric already"):
        panel_of(Panel(name="a"), ("a", "b"))


def test_rank_combines_scores_in_several_spaces():
    models = {"dim": with_taps(3), "keen": with_taps(60), "blind": with_taps(0)}
    metrics = ("leep", "h_score", "h_score@logits")
    ranking = rank(
        sources(**models),
        dataset("target"),
        metrics=metrics,
        combine="ranks",
        bootstrap=20,
        progress=False,
    )
    assert ranking.metrics == ("panel", *metrics)
    assert ranking.best() in ("keen", "dim") and ranking.column()[-1].source == "blind"
    spaces = [ranking.column(m)[0].features for m in metrics]
    assert spaces == ["probs", "penultimate", "logits"]
    top = ranking.column()[0]
    assert len(top.replicates) == 20 and np.isfinite(top.interval()).all()
    assert set(ranking.probability_best()) == set(models)
    assert ranking.settings["combine"]["metrics"] == metrics
    with pytest.raises(ValueError, match="'leep' reads 'probs' and no other"):
        rank(sources(**models), dataset("target"), metrics=("leep@logits",))


def test_where_no_source_has_every_score_none_has_a_place():
    found = panel_cells(
        cells({"a": [np.nan, np.nan], "b": [1.0, 2.0]}), Panel(metrics=("a", "b"))
    )
    assert [cell.status for cell in found] == ["failed", "failed"]

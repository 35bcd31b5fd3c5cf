import dataclasses
import io
import itertools

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.ranking.test_result import (
    METRICS,
    SOURCE_CLASSES,
    TARGET_CLASSES,
    cell,
    make_ranking,
    ranking_of,
)
from trfjax.reporting.plot_joint import plot_joint
from trfjax.reporting.plot_transfer import plot_transfer
from trfjax.reporting.plots import plot, plot_agreement
from trfjax.reporting.words import percent


def texts(ax):
    return [text.get_text() for text in ax.texts]


def names_on(axis):
    return [text.get_text() for text in axis.get_ticklabels()]


def draw(fig):
    """Draw it; warnings are errors, so glyphs and layouts that fail are found."""
    file = io.BytesIO()
    fig.savefig(file, format="svg")
    return file.getvalue().decode()


def best_cell():
    return make_ranking().column("otce")[0]


@pytest.mark.parametrize("metric", [None, *METRICS])
def test_the_ranking_has_the_best_on_top_and_failures_below(metric):
    ranking = make_ranking()
    fig, ax = plot(ranking, metric=metric)
    assert names_on(ax.yaxis) == [c.source for c in ranking.column(metric)]
    low, high = ax.get_ylim()
    assert low > high  # row 0 is on top
    assert any("ValueError" in text for text in texts(ax))
    assert "P(best)" in texts(ax)
    draw(fig)


def test_without_resamples_the_bars_are_standard_errors():
    fig, ax = plot(make_ranking(resamples=0))
    assert "standard error" in ax.get_xlabel()
    assert "P(best)" not in texts(ax)
    score = make_ranking(resamples=0).column()[0].score
    np.testing.assert_allclose(
        np.asarray(ax.lines[0].get_xdata()), [score - 0.004, score + 0.004]
    )
    draw(fig)


def test_a_ranking_of_failures_is_drawn():
    failed = cell("a", float("nan"), status="failed", error="no file")
    fig, ax = plot(ranking_of(failed))
    assert texts(ax) == ["no file"]
    draw(fig)


def test_the_joint_shows_conditionals_and_leaves_out_empty_classes():
    joint = np.array([[0.3, 0.1, 0], [0, 0.596, 0], [0, 0, 0], [0.004, 0, 0]])
    shown = dataclasses.replace(best_cell(), details={"label_joint": joint.tolist()})
    fig, ax = plot_joint(shown, list("abcd"), list("xyz"))
    assert names_on(ax.yaxis) == ["a 40%", "b 60%", "d <1%"]
    assert names_on(ax.xaxis) == ["x", "y"]
    assert texts(ax) == ["75", "25", "100", "100"]
    assert ax.collections[0].get_clim() == (0, 1)
    alpha = np.asarray(ax.collections[0].get_alpha())
    assert (alpha[:2] == 1).all() and (alpha[2] < 1).all()
    assert ax.get_xlabel() == "target class"
    draw(fig)


def test_a_joint_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="2 and 1 names for a joint of"):
        plot_joint(best_cell(), ["a", "b"], ["x"])
    with pytest.raises(ValueError, match=r"leep of .* has no label joint"):
        plot_joint(make_ranking().column("leep")[0], SOURCE_CLASSES, TARGET_CLASSES)


def test_agreement_is_the_rank_correlation_over_common_sources():
    ranking = make_ranking(("otce", "leep", "nce"))
    fig, ax = plot_agreement(ranking)
    table = np.asarray(ax.collections[0].get_array())
    assert table.shape == (2, 2)
    assert ax.collections[0].get_clim() == (-1, 1)
    first = [c.source for c in ranking.column("otce") if c.status == "ok"]
    second = [c.source for c in ranking.column("leep") if c.status == "ok"]
    moved = np.array([first.index(name) - second.index(name) for name in first])
    expected = 1 - 6 * (moved**2).sum() / (5 * (25 - 1))
    assert table[0, 0] == pytest.approx(expected)
    draw(fig)


def test_agreement_needs_two_metrics():
    with pytest.raises(ValueError, match="needs two metrics"):
        plot_agreement(make_ranking(("otce",)))


def test_agreement_of_too_few_sources_is_blank():
    few = make_ranking(failed=("lyon", "osaka", "lima", "cairo", "oslo"))
    fig, ax = plot_agreement(few)
    assert set(texts(ax)) == {"–"}
    draw(fig)


def test_names_in_the_scatter_do_not_overlap(rng):
    names = [f"source {i}" for i in range(12)]
    scores = dict(zip(names, rng.normal(size=12), strict=True))
    measured = {name: 0.5 + 0.1 * value for name, value in scores.items()}
    scores |= {"failed": float("nan"), "not measured": 1.0}
    fig, ax = plot_transfer(
        scores, measured, intervals={"source 0": (-1.0, 1.0)}, spread={"source 1": 0.1},
        score="otce", quantity="miou",
    )  # fmt: skip
    labels = [text for text in ax.texts if text.get_text()]
    assert sorted(text.get_text() for text in labels) == sorted(names)
    boxes = [text.get_window_extent() for text in labels]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    assert "Pearson 1.00 · Spearman 1.00" in ax.get_title(loc="left")
    assert ax.get_xlabel().endswith("(nats)")
    draw(fig)


def test_points_at_one_place_keep_their_names():
    fig, ax = plot_transfer(dict.fromkeys("abc", 1.0), dict.fromkeys("abc", 1.0))
    assert set(texts(ax)) >= {"a", "b", "c"}
    draw(fig)


def test_figures_accept_axes_and_leave_the_settings_alone():
    before = dict(matplotlib.rcParams)
    ranking = make_ranking()
    fig = Figure()
    axes = fig.subplots(2, 2).ravel()
    assert plot(ranking, axes[0]) == (fig, axes[0])
    assert plot_joint(best_cell(), SOURCE_CLASSES, TARGET_CLASSES, axes[1])[0] is fig
    assert plot_agreement(ranking, ax=axes[2])[1] is axes[2]
    assert plot_transfer({"a": 1.0}, {"a": 2.0}, ax=axes[3])[1] is axes[3]
    draw(fig)
    assert dict(matplotlib.rcParams) == before


def test_names_are_drawn_as_they_are():
    ranking = ranking_of(cell("$x_1$ & <b>", 1.0), cell(r"\frac{$", 0.5))
    svg = draw(plot(ranking)[0])
    assert "<b>" not in svg


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0%"), (0.001, "<1%"), (0.57, "57%"), (0.999, ">99%"), (1, "100%")],
)
def test_only_certainty_is_called_certain(share, text):
    assert percent(float(share)) == text
    assert percent(None) == percent(float("nan")) == "–"

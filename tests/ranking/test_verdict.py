import numpy as np
import pytest

from trfjax.ranking.cell import Cell
from trfjax.ranking.verdict import verdict_of


def source(name, values, *, share=None, of="the label entropy"):
    """A source whose score is the mean over images; one share for every image."""
    values = np.asarray(values, float)
    alone = tuple((values.sum() - values) / (len(values) - 1))
    shares = {}
    if share is not None:
        spread = np.asarray(share, float)
        shares = {
            "floor": -1.5,
            "explained": spread.mean(),
            "explained_of": of,
            "explained_left_out": tuple((spread.sum() - spread) / (len(spread) - 1)),
        }
    return Cell(name, "t", "nce", score=values.mean(), left_out=alone, **shares)


GOOD, BAD = [0.38, 0.40, 0.36, 0.38], [0.02, 0.01, 0.02, 0.01]


def test_a_clear_lead():
    found = verdict_of([
        source("a", [-0.5, -0.6, -0.4, -0.5], share=GOOD),
        source("b", [-0.9, -1.0, -0.8, -0.91], share=GOOD),
    ])  # fmt: skip
    assert found.kind == "clear lead"
    assert (found.leader, found.runner_up, found.contenders) == ("a", "b", ())
    assert found.difference is not None and found.difference.low > 0
    assert found.difference.value == pytest.approx(0.4025)
    assert found.informative and found.floor == -1.5
    assert found.sentence.startswith("A clear lead: a is 0.4 above b (90% interval ")
    assert "It explains 38% of the label entropy (90% interval 36 to 40%)." in str(
        found
    )


def test_no_clear_lead_names_who_is_as_good():
    cells = [
        source("a", [-0.5, -0.6, -0.4, -0.5], share=GOOD),
        source("b", [-0.6, -0.5, -0.3, -0.61], share=GOOD),
        source("c", [-2.6, -2.5, -2.4, -2.51], share=BAD),
    ]
    found = verdict_of(cells)
    assert found.kind == "no clear lead" and found.contenders == ("b",)
    assert "but it cannot be told from b." in found.sentence


def test_a_lead_over_the_runner_up_alone_is_none():
    """The third is so unsure that it may well be the first."""
    found = verdict_of([
        source("a", [-0.5, -0.51, -0.5, -0.5], share=GOOD),
        source("b", [-0.6, -0.61, -0.6, -0.61], share=GOOD),
        source("c", [0.0, -1.5, 0.0, -1.5], share=GOOD),
    ])  # fmt: skip
    assert found.difference is not None and found.difference.low > 0
    assert found.kind == "no clear lead" and found.contenders == ("c",)


def test_a_narrow_interval_around_nothing_is_nothing():
    cells = [
        source("a", [-1.40, -1.41, -1.42, -1.40], share=BAD),
        source("b", [-1.50, -1.51, -1.52, -1.50], share=BAD),
    ]
    found = verdict_of(cells)
    assert found.difference is not None and found.difference.low > 0
    assert found.kind == "none informative" and found.informative is False
    assert found.sentence == (
        "None of these sources is informative for this target: the best, a, explains "
        "1.5% of the label entropy (90% interval 0.82 to 2.2%); 5% is the least."
    )
    assert verdict_of(cells, least=0.005).kind == "clear lead"


def test_a_worthless_leader_of_informative_ones_does_not_lead_clearly():
    found = verdict_of([
        source("a", [-0.5, -0.6, -0.4, -0.5], share=[0.5, -0.4, 0.6, -0.5]),
        source("b", [-0.9, -1.0, -0.8, -0.91], share=GOOD),
    ])  # fmt: skip
    assert found.kind == "no clear lead" and found.informative is False
    assert "not known to be worth 5%, and 1 of the others are known" in found.sentence


def test_a_score_without_a_floor_may_lead():
    cells = [source("a", [1.0, 1.1, 0.9]), source("b", [0.1, 0.2, 0.0])]
    found = verdict_of(cells)
    assert found.kind == "clear lead" and found.informative is None
    assert "explains" not in found.sentence and found.floor is None


def test_without_intervals_nothing_is_clear():
    cells = [Cell("a", "t", "nce", score=1.0), Cell("b", "t", "nce", score=0.0)]
    found = verdict_of(cells)
    assert found.kind == "no clear lead" and found.difference is None
    assert "nobody knows how sure" in found.sentence


def test_one_source_and_none():
    only = verdict_of([source("a", [1.0, 2.0])])
    assert only.kind == "no clear lead" and only.runner_up is None
    broken = Cell("a", "t", "nce", "failed", error="no file")
    found = verdict_of([broken])
    assert found.leader is None and found.sentence == "No source could be scored."


@pytest.mark.parametrize("wrong", [{"level": 1.0}, {"least": 0.0}])
def test_a_level_and_a_share_are_within_0_and_1(wrong):
    with pytest.raises(ValueError, match=r"(level|least): .* is not within \(0, 1\)"):
        verdict_of([source("a", [1.0, 2.0])], **wrong)


def nce(joint):
    """Minus the entropy of the label given the prediction, of (..., z, y) counts."""
    joint = joint / joint.sum((-1, -2), keepdims=True)
    given = joint / np.maximum(joint.sum(-1, keepdims=True), 1e-12)
    return np.sum(joint * np.log(np.maximum(given, 1e-300)), axis=(-1, -2))


@pytest.mark.parametrize("images", [5, 20])
def test_equal_sources_seldom_lead_clearly(images):
    """At most 10 % at the 90 % level; 60 pools have a standard error of 4 %."""
    rng, false, pools = np.random.default_rng(images), 0, 60
    mean = np.full((4, 4), 0.5 / 3) + np.eye(4) * (0.5 - 0.5 / 3)
    for _ in range(pools):
        cells = []
        class_share = rng.dirichlet(np.ones(4) * 3, size=images)
        for name in "ab":
            seen = np.array([
                [rng.dirichlet(6 * row) for row in mean] for _ in range(images)
            ])  # fmt: skip
            tables = np.swapaxes(seen * class_share[..., None], 1, 2)  # (i, z, y)
            whole = tables.sum(0)
            score, alone = nce(whole), nce(whole - tables)
            cells.append(Cell(name, "t", "nce", score=score, left_out=tuple(alone)))
        cells.sort(key=lambda cell: -cell.estimate)
        false += verdict_of(cells).kind == "clear lead"
    assert false <= 0.1 * pools + 2 * np.sqrt(pools * 0.1 * 0.9)

import csv
import dataclasses
import io
import json

import numpy as np
import pytest

from trfjax.ranking.cell import Cell
from trfjax.ranking.records import COLUMNS
from trfjax.ranking.result import Ranking
from trfjax.ranking.verdict import percent

SOURCES = ("boston", "lyon", "osaka", "lima", "cairo", "oslo")
METRICS = ("otce", "leep", "nce", "h_score", "logme")
SOURCE_CLASSES = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "vegetation", "sky",
    "person", "car", "bus",
)  # fmt: skip
TARGET_CLASSES = (
    "road", "building", "pole", "vegetation", "sky", "person", "car", "bicycle",
)  # fmt: skip


def make_joint(rng, sources, targets):
    """A label joint in which classes of one name mostly meet; the last has no mass."""
    joint = 0.05 * rng.dirichlet(np.ones(len(targets)), len(sources))
    for i, name in enumerate(sources):
        joint[i, targets.index(name) if name in targets else i % len(targets)] += 0.3
    joint *= rng.dirichlet(np.ones(len(sources)), 1).T
    joint[-1] = 0
    return joint / joint.sum()


def make_ranking(
    metrics=METRICS, *, failed=("oslo",), resamples=200, details=True, seed=0
):
    """A ranking as `rank` would return it, from random numbers."""
    rng = np.random.default_rng(seed)
    quality = rng.normal(size=len(SOURCES))
    images = rng.normal(size=resamples) * 0.05  # what all sources share
    alone = rng.normal(size=20 if resamples else 0) * 0.01
    cells = []
    for metric in metrics:
        for source, q in zip(SOURCES, quality, strict=True):
            if source in failed:
                text = "ValueError: source_features: 3 NaN values, first in row 17"
                cells.append(Cell(source, "quito", metric, "failed", error=text))
                continue
            score = -0.6 + 0.06 * q + 0.02 * rng.normal()
            more = {"pixels": 100_000, "images": 20}
            if metric == "otce":
                more |= {
                    "task_difference": -score, "domain_difference": 0.31,
                    "label_joint": make_joint(
                        rng, SOURCE_CLASSES, TARGET_CLASSES
                    ).tolist(),
                    "marginal_error": 2e-4, "converged": source != "lima",
                    "iterations": 43, "epsilon": 0.1, "num_samples": [10_000, 10_000],
                    "repeats": 10, "per_draw": [score] * 10,
                }  # fmt: skip
            replicates = score + images + 0.01 * rng.normal(size=resamples)
            warned = ("not converged after 43 iterations",) if source == "lima" else ()
            cells.append(
                Cell(
                    source, "quito", metric, score=score, features="probs",
                    replicates=tuple(replicates.tolist()), left_out=tuple(
                        score + alone + 0.002 * rng.normal(size=len(alone))
                    ),
                    limits=(-2.0, 0.0), floor=-1.5, explained=1 + score / 1.5,
                    explained_left_out=tuple(1 + (score + alone) / 1.5),
                    explained_of="the label entropy",
                    standard_error=0.004 if metric == "otce" else float("nan"),
                    seconds=3.2, warnings=warned if metric == "otce" else (),
                    details=more if details else {},
                )
            )  # fmt: skip
    return Ranking(
        target="quito",
        metrics=tuple(metrics),
        cells=tuple(cells),
        settings={"num_samples": 10_000, "repeats": 10, "epsilon": 0.1, "seed": 0},
        versions={"trfjax": "0.1.0", "jax": "0.10.2"},
        source_classes=dict.fromkeys(SOURCES, SOURCE_CLASSES),
        target_classes=TARGET_CLASSES,
        seconds=21.5,
    )


def cell(source, score, replicates=(), **more):
    return Cell(source, "t", "m", score=score, replicates=replicates, **more)


def ranking_of(*cells):
    return Ranking("t", ("m",), cells, {}, {}, {}, ())


def test_the_best_is_first_and_failures_are_last():
    ranking = ranking_of(
        cell("undefined", float("nan")),
        cell("low", -2.0),
        cell("broken", float("nan"), status="failed", error="no file"),
        cell("high", -1.0),
    )
    order = [c.source for c in ranking.column()]
    assert order == ["high", "low", "undefined", "broken"]
    assert ranking.best() == "high"
    assert ranking.sources == ("undefined", "low", "broken", "high")
    assert [row["rank"] for row in ranking.records()] == [1, 2, None, None]


def test_a_metric_that_was_not_computed_is_named():
    with pytest.raises(ValueError, match="'leep' was not computed; there are m"):
        ranking_of(cell("a", 1.0)).column("leep")


def test_nothing_scored_has_no_best():
    broken = cell("a", float("nan"), status="failed", error="no file")
    with pytest.raises(ValueError, match="no source could be scored: no file"):
        ranking_of(broken).best()


def test_the_probability_of_the_best_compares_on_the_same_images():
    # b loses by 0.1 on every image although the two intervals overlap almost wholly.
    shared = np.linspace(-5, 5, 50)
    ranking = ranking_of(
        cell("a", 0.0, left_out=tuple(shared)),
        cell("b", -0.1, left_out=tuple(shared - 0.1)),
    )
    assert ranking.probability_best() == {"a": 1.0, "b": 0.0}
    apart, low, high = ranking.difference("a", "b")
    np.testing.assert_allclose([apart, low, high], 0.1, atol=1e-9)


def test_probabilities_sum_to_one_and_ties_share():
    alone = (1.0, 1.2, 0.8)
    twins = cell("a", 1.0, left_out=alone), cell("b", 1.0, left_out=alone)
    assert ranking_of(*twins).probability_best() == {"a": 0.5, "b": 0.5}
    for metric in METRICS:
        found = make_ranking().probability_best(metric)
        assert len(found) == 5
        assert sum(found.values()) == pytest.approx(1)


def test_order_estimate_interval_and_probability_agree():
    """They come from one estimate: b scores higher, but owes that to few images."""
    ranking = ranking_of(
        cell("b", 1.0, left_out=(1.2, 1.3, 1.25, 1.21)),
        cell("a", 0.9, left_out=(0.9, 0.95, 0.85, 0.9)),
    )
    first, second = ranking.column()
    assert (first.source, second.source) == ("a", "b")
    assert first.score < second.score and first.estimate > second.estimate
    for found in (first, second):
        low, high = found.interval()
        assert low < found.estimate < high
    chances = ranking.probability_best()
    assert chances["a"] > 0.5 > chances["b"]
    assert ranking.verdict.leader == "a"
    assert [row["source"] for row in ranking.records()] == ["a", "b"]
    assert ranking.records()[0]["estimate"] == pytest.approx(0.9)


def test_without_replicates_there_is_no_probability():
    assert ranking_of(cell("a", 1.0), cell("b", 1.0)).probability_best() == {}
    assert np.isnan(ranking_of(cell("a", 1.0), cell("b", 1.0)).difference("a", "b")[1])


def test_the_csv_holds_every_cell_and_no_formula(tmp_path):
    ranking = ranking_of(cell("=cmd|' /C calc'!A0", -1.0), cell("@b", -2.0))
    text = ranking.to_csv(tmp_path / "table.csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["source"] for row in rows] == ["'=cmd|' /C calc'!A0", "'@b"]
    assert float(rows[0]["score"]) == -1.0  # numbers stay numbers
    assert tuple(rows[0]) == COLUMNS
    assert (tmp_path / "table.csv").read_text() == text


def test_the_json_is_strict_and_whole(tmp_path):
    make_ranking().to_json(tmp_path / "ranking.json")

    def refuse(token):
        raise AssertionError(f"{token} is not JSON")

    text = (tmp_path / "ranking.json").read_text()
    read = json.loads(text, parse_constant=refuse)
    assert len(read["cells"]) == 30
    assert len(read["cells"][0]["replicates"]) == 200
    assert read["cells"][5]["score"] is None
    assert read["target_classes"] == list(TARGET_CLASSES)


def test_parquet_holds_the_same_rows(tmp_path):
    from pyarrow import parquet

    ranking = make_ranking()
    ranking.to_parquet(tmp_path / "table.parquet")
    assert parquet.read_table(tmp_path / "table.parquet").to_pylist() == (
        ranking.records()
    )


def test_merge_joins_sources():
    whole = make_ranking()
    first = dataclasses.replace(
        whole, cells=tuple(c for c in whole.cells if c.source in SOURCES[:3])
    )
    rest = dataclasses.replace(
        whole, cells=tuple(c for c in whole.cells if c.source in SOURCES[3:])
    )
    merged = first.merge(rest)
    assert merged.records() == whole.records()
    assert merged.seconds == 43.0


@pytest.mark.parametrize("change", [dict(target="lagos"), dict(settings={"seed": 1})])
def test_merge_refuses_what_cannot_be_compared(change):
    other = dataclasses.replace(make_ranking(), cells=(), **change)
    with pytest.raises(ValueError, match="differ in target or settings"):
        make_ranking().merge(other)


def test_merge_refuses_a_source_twice():
    with pytest.raises(ValueError, match=r"boston, cairo, .* is in both"):
        make_ranking().merge(make_ranking())


def test_printing_shows_the_table_and_the_failures():
    ranking = make_ranking()
    lines = str(ranking).splitlines()
    assert lines[0] == "Ranking of 5 sources for quito"
    table = next(i for i, line in enumerate(lines) if line.split()[:1] == ["source"])
    assert lines[table].split()[1:3] == ["estimate", "90%"]
    assert lines[table + 1].split()[:2] == ["1", ranking.best()]
    assert "source     leep      nce" in str(ranking)
    assert max(map(len, lines)) <= 80
    assert ranking.verdict.sentence in " ".join(str(ranking).split())
    assert lines[-2] == "not ranked:"
    assert "oslo: ValueError" in lines[-1]


def test_a_table_without_intervals_prints():
    assert "1.0000" in str(ranking_of(cell("a", 1.0)))


def test_a_notebook_shows_the_same_table():
    ranking = make_ranking(("leep", "nce"), failed=("oslo",))
    html = ranking._repr_html_()
    assert html.count("<tr>") == 1 + len(SOURCES) and "<th>nce</th>" in html
    assert html.index(f"<td>{ranking.best()}</td>") < html.index("<td>oslo</td>")
    assert "3 NaN values, first in row 17" in html and repr(ranking) == str(ranking)
    (share,) = {c.explains().value for c in ranking.column()[:1]}
    assert f"<td>{percent(share)}%</td>" in html  # as the plain table says it
    sly = ranking_of(cell("<script>", -0.5, (-0.5,)), cell("b", -0.6, (-0.6,)))
    assert "<script>" not in sly._repr_html_()


def test_the_table_says_why_there_is_no_interval():
    why = "a single target image cannot be resampled, so there is no interval"
    bare = [cell(name, -0.5, warnings=(why,)) for name in "ab"]
    text = " ".join(str(ranking_of(*bare)).split())
    assert text.count(why) == 1

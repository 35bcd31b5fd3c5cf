"""The table of a ranking: what stands in it, and that it fits a terminal."""

import numpy as np
import pytest

from trfjax.ranking.cell import Cell
from trfjax.ranking.forecast import Forecast
from trfjax.ranking.table import WIDTH, forecast_lines, table_text
from trfjax.ranking.verdict import verdict_of


def cell(source, score, metric="leep", **changes):
    values = {
        "source": source, "target": "quito", "metric": metric, "score": score,
        "left_out": (score - 0.02, score, score + 0.02), "floor": -1.0,
        "explained": 1 + score, "explained_left_out": (1 + score,) * 3,
        "explained_of": "the label entropy",
    }  # fmt: skip
    return Cell(**{**values, **changes})


CELLS = [cell("boston", -0.2), cell("lima", -0.5), cell("oslo", -0.6)]


def text(columns=None, chances=None, warnings=()):
    columns = columns or {"leep": CELLS}
    first = next(iter(columns.values()))
    verdict = verdict_of([c for c in first if np.isfinite(c.score)])
    return table_text("quito", columns, chances or {}, verdict, warnings)


def test_the_first_score_in_full():
    lines = text(chances={"boston": 0.93, "lima": 0.07}).splitlines()
    assert lines[0] == "Ranking of 3 sources for quito"
    head = next(line for line in lines if "source" in line and "estimate" in line)
    assert head.split() == [
        "source", "estimate", "90%", "interval", "explains", "P(best)", "leep",
    ]  # fmt: skip
    rows = lines[lines.index(head) + 1 :][:3]
    assert [row.split()[:2] for row in rows] == [
        ["1", "boston"], ["2", "lima"], ["3", "oslo"],
    ]  # fmt: skip
    assert rows[0].endswith("-0.2000") and "0.93" in rows[0] and "80%" in rows[0]
    assert "A source that knows nothing gets -1.0000." in lines
    assert "P(best) are those of the estimate" in " ".join(lines)


def test_columns_stand_under_each_other_within_the_width():
    lines = text(warnings=("word " * 40,)).splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert any(line.startswith("warning: word") for line in lines)
    head = next(i for i, line in enumerate(lines) if "estimate" in line)
    ends = {line.index(f"{c.score:.4f}") for line, c in zip(
        lines[head + 1 :], CELLS, strict=False
    )}  # fmt: skip
    assert len(ends) == 1 or lines[head].index("leep") - 3 in ends


def test_further_scores_below_four_at_a_time():
    names = ["nce", "h_score", "logme", "gbc", "otce"]
    columns = {"leep": CELLS}
    for k, name in enumerate(names):
        columns[name] = [cell(c.source, k + i / 10, name) for i, c in enumerate(CELLS)]
    columns["otce"][1] = cell("lima", float("nan"), "otce")
    lines = text(columns).splitlines()
    heads = [line.split() for line in lines if line.split()[:1] == ["source"]]
    assert heads[1] == ["source", *names[:4]] and heads[2] == ["source", "otce"]
    last = lines[-3:]
    assert last[0].split() == ["1", "boston", "4.0000"]
    assert last[1].split() == ["2", "lima", "-"]  # no number, no rank of its own


@pytest.mark.parametrize(
    ("failed", "line"),
    [
        (
            Cell("oslo", "quito", "leep", status="failed", error="ValueError: no head"),
            "  oslo: ValueError: no head",
        ),
        (
            Cell("oslo", "quito", "leep", warnings=("a single class", "few pixels")),
            "  oslo: undefined (a single class; few pixels)",
        ),
        (
            Cell("oslo", "quito", "leep"),
            "  oslo: undefined (the score has no value here)",
        ),
    ],
)
def test_what_could_not_be_ranked_is_listed_with_the_reason(failed, line):
    lines = text({"leep": [*CELLS[:2], failed]}).splitlines()
    assert lines[0] == "Ranking of 2 sources for quito"
    assert lines[lines.index("not ranked:") + 1 :] == [line]


def test_what_is_not_known_is_left_blank():
    bare = [
        cell("boston", -0.2, left_out=(), floor=None, explained=None),
        cell("lima", -0.5, left_out=(), floor=None, explained=None),
    ]
    lines = text({"leep": bare}).splitlines()
    row = next(line for line in lines if "boston" in line and line.startswith("1"))
    assert row.split() == ["1", "boston", "-0.2000", "-0.2000"]
    assert not any("knows nothing" in line for line in lines)
    assert not any("bias of few images" in line for line in lines)


def forecast(source, numbers):
    names = ("mean", "low", "high", "best", "within")
    values = dict(zip(names, numbers, strict=True))
    return Forecast(source=source, measured="mIoU", **values)


@pytest.mark.parametrize(
    ("share", "printed"),
    [(1.0, "100%"), (0.996, "100%"), (0.8, "80%"), (0.0951, "9.5%"), (0.0, "0%")],
)
def test_shares_are_plain_numbers(share, printed):
    """A hundred percent was printed as 1e+02%."""
    cells = [
        cell("boston", -0.2, explained=share, explained_left_out=(share,) * 3),
        CELLS[1],
    ]
    row = next(line for line in text({"leep": cells}).splitlines() if "boston" in line
               and line.startswith("1"))  # fmt: skip
    assert printed in row.split()


def test_forecasts():
    assert forecast_lines([]) == []
    found = forecast_lines(
        [
            forecast("boston", (0.61234, 0.55, 0.67, 0.8, 0.9)),
            forecast("lima", (0.5, 0.4, 0.6, 0.2, 0.3)),
        ]
    )
    assert found[1] == "mIoU after fine-tuning, by the history:"
    assert found[2].split() == [
        "source", "mIoU", "90%", "interval", "P(best)", "P(within", "0.01)",
    ]  # fmt: skip
    assert found[3].split() == [
        "boston",
        "0.612",
        "0.550",
        "..",
        "0.670",
        "0.80",
        "0.90",
    ]
    assert max(map(len, found)) <= WIDTH

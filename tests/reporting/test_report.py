import base64
import dataclasses
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.maps.made import made
from tests.ranking.test_result import SOURCES, cell, make_ranking, ranking_of
from tests.training.cases import squares
from trfjax.maps.pixel_map import pixel_map
from trfjax.maps.transfer_map import transfer_map
from trfjax.reporting.maps_page import maps_section
from trfjax.reporting.report import report
from trfjax.reporting.report_measured import luck, word_of
from trfjax.studies.maps import SourceMaps

EVIL = "<script>alert('x')</script><img src=http://a.b/c>"


class Page(HTMLParser):
    """What a browser would see: elements, their text, what they would load."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.attributes, self.ids, self.open = [], [], [], []
        self.words = []
        self.source = path.read_text()
        self.feed(self.source)
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, key, value or "") for key, value in attrs]
        self.ids += [value for key, value in attrs if key == "id"]
        if tag not in ("meta", "img", "br", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self):
        return re.sub(r" ([.,;])", r"\1", " ".join(" ".join(self.words).split()))

    @property
    def figures(self):
        head = "data:image/svg+xml;base64,"
        for tag, key, value in self.attributes:
            if tag == "img" and key == "src":
                assert value.startswith(head)
                yield base64.b64decode(value[len(head) :])


def measure(slope=1.0, seeds=2, noise=0.0):
    """Measurements that follow the first score, or do not."""
    rng = np.random.default_rng(0)
    found = {}
    for c in make_ranking().column()[:5]:
        values = 0.7 + slope * c.estimate + noise * rng.normal(size=(2, seeds))
        found[c.source] = dict(zip(("accuracy", "miou"), values.tolist(), strict=True))
    return found


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "new" / "report.html"
    found = report(
        make_ranking(), path, measured=measure(), notes=["A note."],
        timings={"fine-tuning": 130.0},
    )  # fmt: skip
    assert found == path
    return Page(path)


def test_every_section_is_there(page):
    assert set(page.ids) >= {
        "headline", "ranking", "intervals", "joint", "agreement", "measured",
        "warnings", "settings", "versions", "timings",
    }  # fmt: skip
    assert len(page.ids) == len(set(page.ids))
    best, second = (c.source for c in make_ranking().column()[:2])
    assert f"Best source {best}" in page.text
    assert f"Runner-up {second}" in page.text
    assert make_ranking().verdict.sentence in page.text
    assert "Explains" in page.text
    assert f"Measured accuracy: {best} was best, as the score says;" in page.text
    for text in ("A note.", "jax 0.10.2", "2 min 10 s", "repeats 10", "22 s"):
        assert text in page.text


def test_nothing_is_loaded_and_nothing_runs(page):
    assert not {"script", "link", "iframe", "object", "svg"} & set(page.tags)
    assert "@import" not in page.source and "url(" not in page.source
    for tag, key, value in page.attributes:
        assert not key.startswith("on")
        if key in ("src", "href", "srcset", "action"):
            assert value.startswith(("data:image/svg+xml;base64,", "#")), (tag, value)
    assert not re.search(r"https?://", page.source)


def test_the_figures_are_whole_and_load_nothing(page):
    figures = list(page.figures)
    assert len(figures) == 5 + 5 + 1 + 2  # intervals, joints, agreement, measured
    for svg in figures:
        root = ElementTree.fromstring(svg)
        assert root.tag.endswith("svg")
        for element in root.iter():
            assert not element.tag.endswith("script")
            links = [v for k, v in element.attrib.items() if k.endswith("href")]
            assert all(link.startswith(("#", "data:image/png")) for link in links)


def test_failures_and_warnings_are_listed(page):
    assert "3 NaN values, first in row 17" in page.text
    assert "1 of 6 sources could not be scored" in page.text
    assert "lima, warning (OTCE)" in page.text
    assert "not converged after 43 iterations" in page.text


def test_names_are_inert(tmp_path):
    ranking = make_ranking(("otce", "leep"))
    hostile = dataclasses.replace(
        ranking,
        target=EVIL,
        cells=tuple(
            dataclasses.replace(
                c,
                source=EVIL if c.source == "lima" else c.source,
                error=c.error and EVIL,
                warnings=(EVIL,),
            )
            for c in ranking.cells
        ),
        settings={EVIL: {EVIL: EVIL}},
        versions={EVIL: EVIL},
        source_classes={s: (EVIL, "$") * 5 + ("$x",) for s in (*SOURCES, EVIL)},
        target_classes=(EVIL,) * 8,
    )
    path = report(
        hostile, tmp_path / "r.html", notes=[EVIL], timings={EVIL: 1.0},
        measured={EVIL: {EVIL: [0.1]}, "lyon": {EVIL: [0.2]}},
    )  # fmt: skip
    page = Page(path)
    assert "script" not in page.tags
    assert EVIL in page.text
    assert len([tag for tag in page.tags if tag == "img"]) == len(list(page.figures))
    assert not any(b"<script" in svg for svg in page.figures)


def test_the_same_ranking_gives_the_same_bytes(tmp_path):
    ranking = make_ranking(("otce", "leep"))
    first = report(ranking, tmp_path / "a.html").read_bytes()
    assert report(ranking, tmp_path / "b.html").read_bytes() == first


def test_details_and_intervals_may_be_missing(tmp_path):
    bare = make_ranking(details=False, resamples=0)
    bare = dataclasses.replace(bare, settings={}, versions={}, source_classes={})
    page = Page(report(bare, tmp_path / "r.html"))
    assert not {"joint", "measured"} & set(page.ids)
    assert "without intervals over images" in page.text


def test_class_names_that_do_not_fit_are_replaced_by_numbers(tmp_path):
    ranking = dataclasses.replace(make_ranking(("otce",)), source_classes={})
    page = Page(report(ranking, tmp_path / "r.html"))
    assert any(b"class 3" in svg for svg in page.figures)


@pytest.mark.parametrize(
    ("ranking", "text"),
    [
        (ranking_of(cell("only", 1.0)), "nothing to compare it with"),
        (
            ranking_of(cell("a", float("nan"), status="failed", error="no file")),
            "No source could be scored. The reasons",
        ),
        (
            ranking_of(
                cell("a", 2.0, left_out=(2.0, 2.1)), cell("b", 1.0, left_out=(1.0, 1.1))
            ),
            "A clear lead: a is 1 above b",
        ),
        (
            ranking_of(
                cell("a", 2.0, left_out=(2.0, 2.9, 1.8)),
                cell("b", 1.9, left_out=(2.0, 1.9, 2.2)),
            ),
            "No clear lead: ",
        ),
        (
            ranking_of(
                cell(
                    "a",
                    -1.4,
                    floor=-1.5,
                    explained=0.04,
                    explained_of="the labels",
                    explained_left_out=(0.039, 0.04, 0.041),
                    smooth=False,
                )
            ),
            "None of these sources is informative for this target: the best, a, "
            "explains 4% of the labels",
        ),
    ],
)
def test_the_headline_says_how_sure_it_is(ranking, text, tmp_path):
    page = Page(report(ranking, tmp_path / "r.html"))
    assert text in page.text


@pytest.mark.parametrize(
    ("slope", "noise", "text"),
    [
        (1.0, 0.0, "OTCE with accuracy is strong (Spearman 1.00, Pearson 1.00, 5"),
        (-1.0, 0.0, "OTCE with accuracy is negative: the order is wrong"),
        (0.0, 0.0, "too few sources, or no differences, to correlate OTCE"),
        (0.0, 1.0, "so this could be luck"),
        (0.0, 1.0, "the measurement itself is noisy"),
    ],
)
def test_a_correlation_is_called_what_it_is(slope, noise, text, tmp_path):
    measured = measure(slope, noise=noise)
    ranking = make_ranking(("otce",), details=False)
    page = Page(report(ranking, tmp_path / "r.html", measured=measured))
    assert text in page.text


def test_one_seed_says_nothing_of_its_noise(tmp_path):
    one = {
        name: {"accuracy": found["accuracy"][0]} for name, found in measure().items()
    }
    ranking = make_ranking(("otce",), details=False)
    page = Page(report(ranking, tmp_path / "r.html", measured=one))
    assert "made with one seed, so its own noise is unknown" in page.text


def test_weak_is_called_weak():
    values = [0.8, 0.5, 0.2, 0.19, -0.2, -0.3, float("nan")]
    assert list(map(word_of, values)) == [
        "strong", "moderate", "weak", "none", "none", "reversed", "undefined",
    ]  # fmt: skip


def test_luck_is_the_share_of_orders_as_good():
    x = np.arange(4.0)
    assert luck(x, x) == pytest.approx(1 / 24)
    assert luck(x, -x) == 1
    assert np.isnan(luck(x, np.zeros(4)))
    many = np.arange(30.0)
    assert luck(many, many) < 0.001


def test_a_measured_source_must_be_ranked(tmp_path):
    with pytest.raises(ValueError, match="'paris' is not a source of the ranking"):
        report(
            make_ranking(), tmp_path / "r.html", measured={"paris": {"accuracy": [1.0]}}
        )
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(OSError, match=r"stands where a folder must be.*r\.html"):
        report(make_ranking(("otce",)), tmp_path / "file" / "r.html")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_leaves_the_older_report(tmp_path, monkeypatch):
    path = tmp_path / "r.html"
    path.write_text("older")

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space left on device"):
        report(make_ranking(("otce",)), path)
    assert path.read_text() == "older"
    assert [found.name for found in tmp_path.iterdir()] == ["r.html"]


def test_maps_are_a_section_and_bring_the_only_scripts(tmp_path):
    case = made(np.random.default_rng(0), images=2, height=32, width=32)
    arrays = case.arrays("leep")
    one = SourceMaps(
        source="one",
        target="squares",
        cells=transfer_map(*arrays, stride=16),
        pixels=pixel_map(*arrays),
        labels=case.labels,
        errors=case.labels > 1,
    )
    section = maps_section([one], squares(2), images=1)
    page = Page(report(make_ranking(), tmp_path / "report.html", maps=section))
    assert "maps" in page.ids and page.tags.count("script") == 2
    assert "script-src 'unsafe-inline'" in page.source
    assert "LEEP (nats), pixel by pixel" in page.text
    assert not re.search(r"https?://", page.source)

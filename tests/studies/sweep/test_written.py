import re

import pytest

from tests.studies.sweep.made import asked
from trfjax.errors import DataError
from trfjax.studies.sweep.sweep import opened_sweep
from trfjax.studies.sweep.written import SpecError, place, sweep_of

RIGHT = """\
size: [32, 64]
shots: 2
seeds: [0]
train: {width: 2, steps: 2}
scores: [leep]
methods:
  - full
  - mode: head
    steps: 3
sources:
  - name: arden
    data: {name: "synthetic:arden", count: 6}
  - name: corvale
    data:
      name: synthetic:corvale
      count: 6
targets:
  - name: ilmar
    data: {name: "synthetic:ilmar", count: 6}
"""
# What is written instead of what, the line, and words of the message.
WRONG = [
    ("shots: 2", "shotss: 2", 2, "no such key; did you mean 'shots'?"),
    ("steps: 3", "step: 3", 9, "methods[1].step: there is no such key; did you mean"),
    ("width: 2", "breadth: 2", 4, "train.breadth: there is no such key; known: model"),
    ("      count: 6", "      counts: 6", 16, "did you mean 'count'?"),
    ("  - name: arden\n  ", "  - ", 11, "'name' is missing"),
    ("shots: 2", "shots: many", 2, "expected `int`, got `str`"),
    ("seeds: [0]", "seeds: [0, x]", 3, "seeds[1]: expected `int`"),
    ("seeds: [0]", "seeds: [-1]", 3, "none negative"),
    ("scores: [leep]", "scores: [leep, leap]", 5, "'leap' is not a score; available"),
    ("scores: [leep]", "scores: [leep, leep]", 5, "there is twice"),
    ("name: corvale", "name: arden", 13, "'arden' is there twice"),
    ("mode: head", "mode: heads", 8, "unknown mode 'heads'; available: full"),
    ("steps: 3", "steps: 0", 8, "steps: 0 is less than 1"),
    ("steps: 2}", "model: unett}", 4, "unknown 'unett'; available"),
    ("synthetic:corvale", "synthetic:corval", 14, "unknown 'corval'; available"),
    ("synthetic:corvale", "camvid:0001TP", 14, "pass root="),
    ("synthetic:ilmar", "synthetic:arden", 18, "would be too good. Give both one name"),
    ("shots: 2", "shots: 20", 2, "20 asked of ilmar, which has 4 images"),
    ("name: ilmar", "name: [ilmar]", 18, "expected `str`, got `array`"),
    ('synthetic:arden", count', 'synthetic:arden", split: val, count', 12, "split"),
]


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "sweep.yaml"
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize(("old", "new", "line", "words"), WRONG, ids=range(len(WRONG)))
def test_a_mistake_is_told_with_its_line_before_any_work(
    written, tmp_path, old, new, line, words
):
    assert RIGHT.count(old) >= 1
    path = written(RIGHT.replace(old, new, 1))
    with pytest.raises(DataError) as caught:
        opened_sweep(path)
    text = str(caught.value)
    words = words.replace("there is twice", "is there twice")
    assert text.startswith(f"{path}: line {line}: ") and words in text
    assert [p.name for p in tmp_path.iterdir()] == ["sweep.yaml"]


def test_what_is_right_is_opened(written):
    opened = opened_sweep(written(RIGHT))
    assert list(opened.sources) == ["arden", "corvale"]
    assert [method.title for method in opened.sweep.ways] == ["full", "head"]
    assert opened.sources["arden"].card.config == {"num_classes": 17, "width": 2}
    assert opened.targets["ilmar"].pool[0]["image"].shape == (32, 64, 3)


@pytest.mark.parametrize("text", ["", "{}", "sources: []\ntargets: []", "[1]", "a: ["])
def test_what_is_no_sweep(written, text):
    with pytest.raises(DataError, match=r"missing|none given|expected|not valid YAML"):
        opened_sweep(written(text))


def test_values_have_no_lines():
    with pytest.raises(SpecError, match=re.escape("targets[2].data.nam")) as caught:
        sweep_of(
            asked(targets=[*asked()["targets"], {"name": "x", "data": {"nam": 1}}])
        )
    assert caught.value.where == ("targets", 2, "data", "nam")
    with pytest.raises(FileNotFoundError, match="no such file"):
        sweep_of("nowhere.yaml")


def test_places_read_as_they_are_written():
    assert place(("sources", 2, "name")) == "sources[2].name"
    assert place(()) == "the sweep"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"panels": [{"scores": ["leep"]}]}, r"panels\[0\].*alone makes no panel"),
        ({"panels": [{"name": "leep"}]}, r"panels\[0\].*name of a metric already"),
        ({"panels": [{"name": "miou", "scores": ["leep", "x"]}]}, "'x' is not among"),
        ({"pixels": 0}, "pixels: 0 is less than 1"),
        ({"methods": ["full", {"mode": "full"}]}, r"methods\[1\]: 'full' is there tw"),
        ({"methods": [{"held_out": 0.9}]}, "not in 0..0.5"),
        ({"sources": [{"name": "a"}]}, "neither data to train a network on nor a netw"),
        ({"sources": [{"name": "a", "network": "gone"}]}, "gone: no such file"),
        ({"targets": []}, "targets: none given"),
    ],
)
def test_what_cannot_be_run(changes, words):
    with pytest.raises(SpecError, match=words):
        opened_sweep(asked(**changes))


def test_the_only_pair_is_no_pair():
    with pytest.raises(SpecError, match="the only source has the name"):
        opened_sweep(
            asked(sources=asked()["sources"][:1], targets=asked()["targets"][:1])
        )


def test_a_test_set_must_not_hold_the_pool():
    target = asked()["targets"][1]
    with pytest.raises(SpecError, match=r"targets\[0\].test: 6 of its images"):
        opened_sweep(asked(targets=[{**target, "test": target["data"]}]))
    other = {**target["data"], "seed": 1}
    opened = opened_sweep(asked(targets=[{**target, "test": other}]))
    assert len(opened.targets["ilmar"].pool) == 6

"""A score is one file and one line: nothing else has to know of it."""

import dataclasses

import numpy as np
import pytest

import trfjax
from tests.ranking import toy_nearness, toy_purity
from tests.ranking.test_rank import dataset, sees, sources
from tests.ranking.test_rank_all import with_taps
from trfjax.features.extract import extract
from trfjax.ranking.rank import SavedSource, Source, rank
from trfjax.scores import SCORES
from trfjax.scores.check import check_score

TOYS = ("purity", "nearness")
MODELS = {"keen": with_taps(60), "dim": with_taps(3), "blind": with_taps(0)}
SETTINGS = {"metrics": TOYS, "bootstrap": 30, "progress": False, "atoms": 32}


@pytest.fixture
def toys(monkeypatch):
    for module in (toy_purity, toy_nearness):
        monkeypatch.setitem(SCORES, module.SPEC.name, module.SPEC)


def test_the_toys_keep_the_laws():
    check_score(toy_purity.SPEC)
    check_score(toy_nearness.SPEC)


@pytest.mark.parametrize("pixels", [None, 500])
def test_toys_are_ranked_with_intervals_plot_and_report(toys, tmp_path, pixels):
    ranking = rank(
        sources(**MODELS), dataset("target"), pixels=pixels, repeats=1,
        out=tmp_path, **SETTINGS,
    )  # fmt: skip
    assert ranking.settings["pixels"] == dict.fromkeys(TOYS, pixels or "all")
    for cell in ranking.cells:
        assert cell.status == "ok", cell.error
        assert len(cell.replicates) == 30 and len(cell.left_out) == 4
        assert np.isfinite(cell.interval()).all()
        assert cell.details["images"] == 4
    assert ranking.best("purity") in ("keen", "dim")
    best = ranking.column("purity")[0]
    assert best.score == 1 and best.floor is not None
    assert 1 / 3 < best.floor < 0.5
    assert ranking.column("nearness")[0].features == "logits"

    _, ax = trfjax.plot(ranking)
    assert ax.get_xlabel().startswith("Purity (share)")
    text = trfjax.report(ranking, tmp_path / "report.html").read_text()
    assert "Purity" in text and "Nearness" in text
    assert "purity,1.0" in (tmp_path / "results.csv").read_text()


def test_draws_of_every_pixel_and_sums_agree(toys):
    whole, drawn = (
        rank(sources(**MODELS), dataset("target"), pixels=pixels, repeats=1, **SETTINGS)
        for pixels in (None, 5000)
    )
    for a, b in zip(whole.cells, drawn.cells, strict=True):
        assert (a.source, a.metric) == (b.source, b.metric)
        # Sums are in float64; draws are float32, of logits up to 60.
        assert a.score == pytest.approx(b.score, rel=1e-4)
        np.testing.assert_allclose(a.replicates, b.replicates, rtol=1e-3)


def test_saved_features_of_both_sides_are_enough(toys):
    target = extract(sees(60), dataset("target"), spaces=("logits",), pixels=5000)
    source = extract(sees(60), dataset("own", seed=1), spaces=("logits",), pixels=5000)
    found = rank([SavedSource("keen", target, source)], **SETTINGS)
    assert [cell.status for cell in found.cells] == ["ok", "ok"]


def test_a_score_that_fails_fails_alone(monkeypatch):
    def breaks(*arrays, **settings):
        raise ZeroDivisionError("nothing to divide by")

    spec = dataclasses.replace(toy_purity.SPEC, function=breaks, of_sums=None)
    monkeypatch.setitem(SCORES, "purity", spec)
    settings = {**SETTINGS, "metrics": ("leep", "purity")}
    found = rank(sources(keen=sees(60), dim=sees(3)), dataset(), **settings)
    assert found.best() == "keen"
    assert [c.status for c in found.column("leep")] == ["ok", "ok"]
    failed = found.column("purity")
    assert [c.status for c in failed] == ["failed", "failed"]
    assert failed[0].error == "ZeroDivisionError: nothing to divide by"
    with pytest.raises(ZeroDivisionError):
        rank(sources(keen=sees(60)), dataset(), strict=True, **settings)


def test_without_source_images_only_scores_of_both_sides_fail(toys):
    found = rank([Source("keen", sees(60))], dataset(), **SETTINGS)
    assert {c.metric: c.status for c in found.cells} == {
        "purity": "ok", "nearness": "failed",
    }  # fmt: skip
    assert "give the source its data" in found.column("nearness")[0].error


def network_scale(network, target_data):
    """A score of the network itself: what it says of the first image, at most."""
    return np.abs(network(np.asarray(target_data[0]["image"])[None] / 255)).max()


def test_a_score_may_read_the_network(monkeypatch):
    spec = dataclasses.replace(
        toy_nearness.SPEC, name="loud", function=network_scale, of_sums=None,
        inputs=("network", "target_data"), weighted=False,
    )  # fmt: skip
    monkeypatch.setitem(SCORES, "loud", spec)
    settings = {**SETTINGS, "metrics": ("loud",)}
    found = rank(sources(keen=sees(60), dim=sees(3)), dataset(), **settings)
    assert found.best() == "keen"
    assert "no interval" in found.cells[0].warnings[0]
    saved = extract(sees(60), dataset(), pixels=100)
    refused = rank([SavedSource("keen", saved)], **settings)
    assert "saved features know no network" in refused.cells[0].error


def test_pixels_are_chosen_for_every_score(toys):
    settings = {**SETTINGS, "metrics": ("jc_otce", "leep", "shrunk_h_score", "otce")}
    models = {name: MODELS[name] for name in ("keen", "dim")}
    found = rank(sources(**models), dataset("target"), **settings)
    assert found.settings["pixels"] == {
        "jc_otce": 10_000, "leep": "all", "shrunk_h_score": 10_000, "otce": "all",
    }  # fmt: skip
    for cell in found.cells:
        assert cell.status == "ok", cell.error
        assert cell.details["pixels"] == 4 * (16 * 16 - 1)
    assert found.best() == "keen"
    assert np.isfinite(found.column("jc_otce")[0].interval()).all()


@pytest.mark.parametrize("name", ["otce", "jc_otce"])
def test_rank_gives_the_number_of_the_score_itself(name):
    data, own = dataset("target"), dataset("own", seed=1)
    asked = {"repeats": 3, "epsilon": 0.2}
    found = rank(
        [Source("dim", sees(3), own)], data, metrics=(name,), pixels=100, seed=5,
        bootstrap=0, progress=False, **asked,
    )  # fmt: skip
    target, source = (extract(sees(3), d, pixels=300, seed=5) for d in (data, own))
    arrays = {
        "source_features": source.space("probs"),
        "source_labels": source.labels,
        "target_features": target.space("probs"),
    }
    score = SCORES[name](arrays, target.labels, num_samples=100, key=5, **asked)
    assert found.cells[0].score == float(score)

"""Ranking on every pixel, with intervals from resampled images."""

import dataclasses

import numpy as np
import pytest

from tests.ranking.test_rank import dataset, sees, sources
from trfjax.features.compressed import CompressedSet
from trfjax.features.extract import extract
from trfjax.features.extract_all import extract_all
from trfjax.ranking.rank import SavedSource, Source, rank

ALL = {"bootstrap": 40, "progress": False, "atoms": 64}
METRICS = ("otce", "leep", "nce", "h_score", "logme")


def with_taps(weight):
    """A network that also gives features before the head."""

    def network(images):
        logits = sees(weight)(images)
        return {"logits": logits, "penultimate": np.asarray(images, np.float32) * 3}

    return network


@pytest.fixture(scope="module")
def ranking():
    models = {"blind": with_taps(0), "keen": with_taps(60), "dim": with_taps(3)}
    return rank(sources(**models), dataset("target"), metrics=METRICS, **ALL)


def test_every_pixel_counts_by_default(ranking):
    assert set(ranking.settings["pixels"].values()) == {"all"}
    assert ranking.settings["atoms"] == 64
    for cell in ranking.cells:
        assert cell.status == "ok", cell.error
        assert cell.details["pixels"] == 4 * (16 * 16 - 1)
        assert len(cell.replicates) == 40 and len(cell.left_out) == 4
        low, high = cell.interval()
        # Blind to everything, or right about everything, on whatever images.
        certain = cell.source == "blind" or (cell.metric, cell.score) == ("nce", 0)
        assert low < high or certain
    assert ranking.best() == "keen"
    assert max(ranking.column("otce")[0].details["atoms"]) <= 64


def test_the_difference_of_sources_is_paired(ranking):
    apart, low, high = ranking.difference("keen", "dim")
    cells = {cell.source: cell for cell in ranking.column("otce")}
    assert apart == pytest.approx(cells["keen"].estimate - cells["dim"].estimate)
    assert 0 < low < apart < high
    assert ranking.difference("keen", "keen") == (0, 0, 0)
    with pytest.raises(ValueError, match="'none' is not ranked"):
        ranking.difference("keen", "none")


def test_all_pixels_agree_with_all_pixels_drawn(ranking):
    """Draws that take every pixel are another way to the same numbers."""
    drawn = rank(
        sources(keen=with_taps(60)), dataset("target"), metrics=METRICS,
        pixels=5000, repeats=1, **ALL,
    )  # fmt: skip
    for metric, tolerance in zip(METRICS, (5e-3, 2e-3, 1e-5, 1e-3, 1e-3), strict=True):
        cells = {cell.source: cell for cell in ranking.column(metric)}
        assert drawn.column(metric)[0].score == pytest.approx(
            cells["keen"].score, abs=tolerance
        )


def wild(images):
    """Logits that differ from pixel to pixel by far more than epsilon."""
    mixing = np.random.default_rng(0).normal(size=(images.shape[-1], 6)) * 1e4
    return {"logits": (30 * np.sin(np.asarray(images) @ mixing)).astype(np.float32)}


def test_draws_take_the_place_of_atoms_that_do_not_tell_the_score():
    settings = {"metrics": ("otce",), "features": "logits", "repeats": 2, **ALL}
    settings |= {"bootstrap": 5, "atoms": 32}
    drawn = rank(sources(wild=wild), dataset("target"), **settings).cells[0]
    assert "the score is of 2 draws of 10,000 pixels" in " ".join(drawn.warnings)
    assert "too few for these features" in drawn.details["doubt"]
    assert drawn.details["num_samples"] == [1020, 1020]
    told = rank(sources(wild=wild), dataset("target"), pixels="all", **settings).cells[
        0
    ]
    assert told.score == pytest.approx(drawn.details["score_of_all_pixels"])
    assert told.score != drawn.score and told.details["atoms"] == [32, 32]


def test_saved_sets_are_ranked_without_their_network(tmp_path):
    target, own = dataset("target"), dataset("own", seed=1)
    saved = []
    for name, weight in (("keen", 60), ("dim", 3)):
        for side, data in (("target", target), ("source", own)):
            found = extract_all(sees(weight), data, atoms={"probs": 64})
            found.save(tmp_path / f"{name}-{side}.safetensors")
        parts = {
            side: CompressedSet.load(tmp_path / f"{name}-{side}.safetensors")
            for side in ("target", "source")
        }
        saved.append(SavedSource(name, **parts))
    found = rank(saved, metrics=("otce", "leep", "nce"), **ALL)
    assert found.best() == "keen"
    models = {name: sees(w) for name, w in (("keen", 60), ("dim", 3))}
    direct = rank(sources(**models), target, metrics=("otce",), **ALL)
    for cell in direct.column("otce"):
        twin = next(c for c in found.column("otce") if c.source == cell.source)
        assert twin.score == pytest.approx(cell.score, abs=1e-6)
    refused = rank(saved, pixels=100, repeats=1, metrics=("leep",), progress=False)
    assert "hold no single pixels" in refused.cells[0].error


def test_saved_pixels_are_compressed(tmp_path):
    target = extract(sees(60), dataset("target"), pixels=10**6)
    own = extract(sees(60), dataset("own", seed=1), pixels=10**6)
    found = rank([SavedSource("keen", target, own)], metrics=METRICS[:3], **ALL)
    assert [cell.status for cell in found.cells] == ["ok"] * 3


def test_nce_without_a_head_is_refused():
    target = extract(sees(60), dataset("target"), pixels=10**6)
    headless = dataclasses.replace(
        target, predictions=np.full_like(target.predictions, -1)
    )
    for pixels in ("all", 100):
        found = rank(
            [SavedSource("keen", headless)], metrics=("nce",), pixels=pixels, **ALL
        )
        assert "know no source head" in found.cells[0].error


def test_one_image_has_no_interval_and_says_so():
    found = rank(
        sources(keen=sees(60)), dataset("target", images=1), metrics=("leep",), **ALL
    )
    cell = found.cells[0]
    assert np.isfinite(cell.score) and np.isnan(cell.interval()).all()
    assert "cannot be resampled" in cell.warnings[0]


def test_an_image_without_labels_changes_nothing():
    plain, blank = dataset("target", images=3), dataset("target", images=3)
    labels = [np.array(example["label"]) for example in plain]
    labels.append(np.full((16, 16), 255, np.int32))
    images = [np.array(example["image"]) for example in plain]
    images.append(images[0])
    more = type(blank)(
        blank.name, blank.labels, (*blank.image_ids, "blank"),
        lambda i: (images[i], labels[i]), (*blank.image_ids, "blank"), "more",
    )  # fmt: skip
    settings = {"metrics": ("otce", "leep", "nce"), **ALL}
    first, second = (
        rank(sources(keen=sees(60)), data, **settings) for data in (plain, more)
    )
    for a, b in zip(first.cells, second.cells, strict=True):
        assert a.score == pytest.approx(b.score, abs=1e-6)


def test_a_class_in_a_single_image_leaves_defined_replicates():
    target = dataset("target")

    def read(position):
        example = target[position]
        label = np.array(example["label"])
        label[label == 2] = 2 if position == 0 else 1
        return np.array(example["image"]), label

    data = type(target)(
        target.name, target.labels, target.image_ids, read, target.image_ids, "rare"
    )
    found = rank(sources(keen=with_taps(60)), data, metrics=METRICS, **ALL)
    for cell in found.cells:
        assert cell.status == "ok", cell.error
        assert np.isfinite(cell.replicates).all() and np.isfinite(cell.interval()).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pixels": "all", "solver": "ott"}, "solver: 'ott' needs draws"),
        ({"pixels": "all", "strategy": "balanced"}, "strategy: 'balanced' needs"),
        ({"pixels": "all", "metrics": ("shrunk_h_score",)}, "is no sum over pixels"),
        ({"atoms": 0}, "atoms: 0 is less"),
    ],
)
def test_what_needs_draws_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        rank(
            sources(keen=sees(60)),
            dataset(),
            **{**ALL, "metrics": ("leep",), **settings},
        )


def test_what_needs_draws_gets_them():
    found = rank(
        sources(keen=with_taps(60)), dataset(), metrics=("shrunk_h_score",),
        bootstrap=0, progress=False,
    )  # fmt: skip
    assert found.settings["pixels"] == {"shrunk_h_score": 10_000}


def test_features_are_kept_and_read_back(tmp_path):
    seen = []

    def counting(images):
        seen.append(len(images))
        return sees(60)(images)

    options = {"digest": "counting"}
    source = [Source("keen", counting, dataset("own", seed=1), options)]
    settings = {"metrics": ("otce",), "cache": tmp_path, **ALL}
    first = rank(source, dataset(), **settings)
    runs = len(seen)
    second = rank(source, dataset(), **settings)
    assert len(seen) == runs and first.cells[0].score == second.cells[0].score

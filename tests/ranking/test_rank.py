import dataclasses
import inspect
import logging

import numpy as np
import pytest

from trfjax.data.dataset import Dataset
from trfjax.data.labels import LabelMap
from trfjax.features.featureset import FeatureSet
from trfjax.ranking import run as module
from trfjax.ranking.plan import spaces_of
from trfjax.ranking.rank import SavedSource, Source, rank

CLASSES = ("road", "sky", "tree")
QUICK = {
    "metrics": ("otce", "leep", "nce"),
    "pixels": 120,
    "repeats": 2,
    "bootstrap": 20,
    "progress": False,
}


def dataset(name="here", *, images=4, classes=3, seed=0, side=16):
    """Images whose red channel gives the class away."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, (images, side, side)).astype(np.int32)
    pixels = rng.integers(0, 40, (images, side, side, 3))
    pixels[..., 0] += 100 * labels
    labels[:, 0, 0] = 255

    def read(position):
        return pixels[position].astype(np.uint8), labels[position]

    ids = tuple(f"{name}/{i}" for i in range(images))
    fingerprint = f"{name}:{images}:{classes}:{seed}:{side}"
    return Dataset(name, LabelMap(CLASSES), ids, read, ids, fingerprint)


def sees(weight):
    """A network of three outputs; the larger the weight, the more it sees."""

    def network(images):
        centres = np.array([20, 120, 220]) / 255
        return -weight * (images[..., :1] - centres) ** 2

    return network


def sources(**models):
    own = dataset("own", seed=1)
    return [Source(name, model, own) for name, model in models.items()]


@pytest.fixture(scope="module")
def ranking():
    return rank(
        sources(blind=sees(0), keen=sees(60), dim=sees(3)), dataset("target"), **QUICK
    )


@pytest.mark.parametrize("metric", ["otce", "leep"])
def test_the_network_that_sees_more_comes_first(ranking, metric):
    assert [c.source for c in ranking.column(metric)] == ["keen", "dim", "blind"]
    assert ranking.best(metric) == "keen"


def test_nce_reads_arg_maxima_alone(ranking):
    keen, dim, blind = sorted(ranking.column("nce"), key=lambda c: c.source != "keen")
    assert keen.score == pytest.approx(0, abs=1e-5)
    scores = {c.source: c.score for c in (keen, dim, blind)}
    assert scores["dim"] == pytest.approx(scores["keen"])
    assert scores["blind"] < -1


def test_a_clear_winner_is_certain(ranking):
    chances = ranking.probability_best("otce")
    assert chances["keen"] > 0.99
    assert sum(chances.values()) == pytest.approx(1)
    # keen and dim have the same arg-maxima, and every resample is a tie.
    assert ranking.probability_best("nce") == {"keen": 0.5, "dim": 0.5, "blind": 0}


def test_what_the_ranking_says_of_itself(ranking):
    assert ranking.target == "target"
    assert ranking.sources == ("blind", "keen", "dim")
    assert ranking.target_classes == CLASSES
    assert ranking.settings["pixels"] == dict.fromkeys(QUICK["metrics"], 120)
    assert ranking.settings["seed"] == 0
    assert "jax" in ranking.versions and ranking.seconds > 0
    cell = ranking.column("otce")[0]
    assert cell.features == "probs" and cell.details["num_samples"] == [120, 120]
    assert cell.details["pixels"] == 240 and cell.details["images"] == 4
    assert len(cell.replicates) == 20 and np.isfinite(cell.standard_error)
    assert "keen" in str(ranking)


def test_the_same_seed_gives_the_same_ranking(ranking):
    again = rank(sources(keen=sees(60)), dataset("target"), **QUICK)
    for metric in QUICK["metrics"]:
        first, second = ranking.column(metric)[0], again.column(metric)[0]
        assert (first.score, first.replicates) == (second.score, second.replicates)


def broken(images):
    raise OSError("no such weights")


LEEP = {**QUICK, "metrics": ("leep",)}


def test_a_failed_source_is_listed_and_the_others_are_ranked():
    found = rank(sources(broken=broken, keen=sees(60)), dataset(), **LEEP)
    assert found.best() == "keen"
    failed = found.column()[-1]
    assert (failed.source, failed.status) == ("broken", "failed")
    assert failed.error == "OSError: no such weights"
    assert "no such weights" in str(found)


def test_strict_raises():
    with pytest.raises(OSError, match="no such weights"):
        rank(sources(broken=broken, keen=sees(60)), dataset(), strict=True, **LEEP)


def test_nan_logits_are_a_failure():
    def network(images):
        return np.full((*images.shape[:3], 3), np.nan, np.float32)

    found = rank(sources(nan=network), dataset(), **LEEP)
    assert "NaN" in found.cells[0].error
    with pytest.raises(ValueError, match="no source could be scored"):
        found.best()


def test_otce_needs_source_images():
    found = rank([Source("keen", sees(60))], dataset(), **QUICK)
    assert "give the source its data" in found.cells[0].error
    assert rank([Source("keen", sees(60))], dataset(), **LEEP).best() == "keen"


@pytest.fixture
def computed(monkeypatch):
    """The cells that are computed, not read."""
    seen = []
    score = module.Run._score

    def counting(self, spec, source):
        seen.append((source.candidate.name, spec.name))
        return score(self, spec, source)

    monkeypatch.setattr(module.Run, "_score", counting)
    return seen


def test_a_second_call_reads_the_cells_back(tmp_path, computed):
    settings = {**QUICK, "metrics": ("leep", "nce"), "out": tmp_path}
    first = rank(sources(keen=sees(60), dim=sees(3)), dataset(), **settings)
    assert len(computed) == len(list((tmp_path / "cells").iterdir())) == 4
    names = {"results.csv", "results.json", "results.parquet", "env.json", "cells"}
    assert {path.name for path in tmp_path.iterdir()} == names

    computed.clear()
    again = rank(sources(keen=sees(60), dim=sees(3)), dataset(), **settings)
    assert computed == []
    assert [c.record() for c in again.cells] == [c.record() for c in first.cells]

    more = rank(
        sources(keen=sees(60), dim=sees(3), blind=sees(0)), dataset(), **settings
    )
    assert {name for name, _ in computed} == {"blind"}
    assert more.best() == "keen"


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"schema": 1}'])
def test_a_damaged_cell_is_computed_again(tmp_path, computed, caplog, damage):
    settings = {**LEEP, "out": tmp_path}
    first = rank(sources(keen=sees(60)), dataset(), **settings)
    (path,) = (tmp_path / "cells").iterdir()
    path.write_text(damage)
    computed.clear()
    with caplog.at_level(logging.WARNING, "trfjax"):
        again = rank(sources(keen=sees(60)), dataset(), **settings)
    assert computed == [("keen", "leep")]
    assert path.name in caplog.text and "computed again" in caplog.text
    assert again.cells[0].score == first.cells[0].score


def test_other_settings_or_weights_do_not_meet_old_cells(tmp_path, computed):
    settings = {**LEEP, "out": tmp_path}
    rank(sources(keen=sees(60)), dataset(), **settings)
    rank(sources(keen=sees(60)), dataset(), **{**settings, "seed": 1})
    rank(sources(keen=sees(59)), dataset(), **settings)
    rank(sources(keen=sees(60)), dataset(seed=3), **settings)
    assert len(computed) == 4


def test_a_target_of_one_class_is_refused_before_any_work():
    calls = []
    with pytest.raises(ValueError, match="more classes"):
        rank(sources(keen=calls.append), dataset(classes=1), strict=True, **LEEP)
    assert not calls


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"metrics": ("leap",)}, "'leap' is not a score; available: otce"),
        ({"metrics": ()}, "none given"),
        ({"features": {"logme": "probs"}}, "'logme' is not among the metrics"),
        ({"pixels": 0}, "pixels: 0"),
        ({"repeats": 0}, "repeats: 0"),
        ({"bootstrap": -1}, "bootstrap: -1"),
        ({"epsilon": 0.0}, "epsilon: 0.0"),
        ({"epsilon": float("nan")}, "epsilon: nan"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        rank(sources(keen=sees(60)), dataset(), **{**QUICK, **settings})


def test_an_unknown_feature_space_is_refused():
    # As without the run-time checks of types, which only tests have.
    spaces = inspect.unwrap(spaces_of)
    with pytest.raises(ValueError, match="'pixels' is none of probs, logits, penul"):
        spaces(("otce", "leep"), "pixels")
    assert spaces(("otce", "leep", "logme"), "logits") == {
        "otce": "logits", "leep": "probs", "logme": "logits",
    }  # fmt: skip


def test_sources_that_cannot_be_told_apart_are_refused():
    with pytest.raises(ValueError, match="the name 'keen' occurs twice"):
        rank(sources(keen=sees(60)) * 2, dataset(), **LEEP)
    with pytest.raises(ValueError, match="none given"):
        rank([], dataset(), **LEEP)


def test_a_model_needs_a_target():
    with pytest.raises(ValueError, match="target: needed, since 'keen'"):
        rank(sources(keen=sees(60)), **LEEP)
    with pytest.raises(ValueError, match="holds no image"):
        rank(sources(keen=sees(60)), dataset().select([]), **LEEP)


def test_a_single_image_gives_no_replicates():
    found = rank(sources(keen=sees(60)), dataset(images=1), **QUICK)
    for cell in found.cells:
        assert np.isfinite(cell.score) and cell.replicates == ()
        assert np.isnan(cell.interval()).all()
    assert found.probability_best() == {}


def test_inputs_stay_as_they_are():
    target = dataset()
    before = [(e["image"].copy(), e["label"].copy()) for e in target]
    rank(sources(keen=sees(60)), target, **LEEP)
    for (image, label), example in zip(before, target, strict=True):
        np.testing.assert_array_equal(image, example["image"])
        np.testing.assert_array_equal(label, example["label"])


def saved(sharpness, *, seed=0, n=240, images=4, space="logits", **changes):
    """Features of which the first columns say the label, without class names."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n).astype(np.int32)
    values = sharpness * np.eye(3)[labels] + rng.normal(size=(n, 3))
    values = values.astype(np.float32)
    head = space != "penultimate"
    found = FeatureSet(
        features={space: values},
        labels=7 * labels,
        predictions=(values.argmax(1) if head else np.full(n, -1)).astype(np.int32),
        image=np.sort(rng.integers(0, images, n)).astype(np.int32),
        image_ids=tuple(map(str, range(images))),
        class_names=(),
        source_class_names=tuple("abc") if head else (),
    )
    return dataclasses.replace(found, **changes)


def test_saved_features_are_ranked_without_a_model():
    pairs = [
        SavedSource(name, saved(sharpness), saved(sharpness, seed=1))
        for name, sharpness in (("dull", 0.2), ("sharp", 4.0))
    ]
    metrics = (*QUICK["metrics"], "h_score", "logme")
    found = rank(pairs, **{**QUICK, "metrics": metrics})
    assert [found.best(metric) for metric in metrics] == ["sharp"] * 5
    assert found.target == "saved features"
    # Nothing deeper than logits was saved.
    assert {c.features for c in found.column("h_score")} == {"logits"}


def test_saved_features_of_unknown_origin_do_not_share_cells(tmp_path):
    pairs = [SavedSource("dull", saved(0.2)), SavedSource("sharp", saved(4.0))]
    found = rank(pairs, **LEEP, out=tmp_path)
    assert len({cell.score for cell in found.cells}) == 2


def test_saved_features_without_a_head():
    source = SavedSource("deep", saved(2.0, space="penultimate"))
    found = rank([source], **{**QUICK, "metrics": ("h_score", "logme")})
    assert all(np.isfinite(cell.score) for cell in found.cells)
    for metric, message in {"nce": "no source head", "leep": "no 'probs'"}.items():
        found = rank([source], **{**QUICK, "metrics": (metric,)})
        assert message in found.cells[0].error


@pytest.mark.parametrize("pixels", ["all", 120])
def test_patients_are_resampled_with_all_their_images(pixels):
    images = dataset("target", images=6)
    groups = ("anna",) * 2 + ("ben",) * 3 + ("eve",)
    patients = dataclasses.replace(images, groups=groups, unit="patient")
    options = {**QUICK, "pixels": pixels}
    for target, units in ((images, 6), (patients, 3)):
        cells = rank(sources(keen=sees(60)), target, **options).cells
        assert all(len(cell.left_out) == units for cell in cells)
    one = dataclasses.replace(images, groups=("anna",) * 6, unit="patient")
    cells = rank(sources(keen=sees(60)), one, **options).cells
    assert "a single target patient" in cells[0].warnings[0]


def test_a_patient_left_out_is_the_score_of_the_others():
    images = dataset("target", images=6)
    groups = ("anna",) * 2 + ("ben",) * 4
    patients = dataclasses.replace(images, groups=groups, unit="patient")
    options = {**QUICK, "pixels": "all", "metrics": ("leep",)}
    cell = rank(sources(dim=sees(3)), patients, **options).cells[0]
    alone = rank(sources(dim=sees(3)), images.select([2, 3, 4, 5]), **options).cells[0]
    # Mean logarithms of shares that are float32 sums: 1e-5 of a nat.
    assert cell.left_out[0] == pytest.approx(alone.score, abs=1e-5)

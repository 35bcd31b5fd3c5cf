"""What a user has in hand can be ranked: networks, arrays, features, under names."""

import numpy as np
import pytest

import trfjax
from trfjax import FeatureSet, SavedSource, Source, rank

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 3, (4, 6, 6))
QUICK = {"bootstrap": 0, "progress": False}


def features(noise):
    """Probabilities that show the labels through noise."""
    logits = 4 * np.eye(3)[LABELS] + noise * RNG.normal(size=(*LABELS.shape, 3))
    shown = np.exp(logits)
    probs = shown / shown.sum(axis=-1, keepdims=True)
    return FeatureSet.from_arrays(LABELS, probs=probs)


def test_features_under_names():
    sharp, dull = features(0.5), features(6)
    found = rank({"sharp": sharp, "dull": dull}, metrics=("leep",), **QUICK)
    assert found.sources == ("sharp", "dull")
    assert found.best() == "sharp"
    listed = [SavedSource("sharp", sharp), SavedSource("dull", dull)]
    again = rank(listed, metrics=("leep",), **QUICK)
    assert [c.score for c in found.cells] == [c.score for c in again.cells]


def test_a_pair_is_source_and_target():
    pair = features(0.5), features(1)
    found = rank({"a": pair}, metrics=("otce",), pixels=100, repeats=1, **QUICK)
    listed = [SavedSource("a", target=pair[1], source=pair[0])]
    again = rank(listed, metrics=("otce",), pixels=100, repeats=1, **QUICK)
    assert found.cells[0].score == again.cells[0].score


def bright(images):
    """A network of three classes: dark, grey and bright pixels."""
    level = np.asarray(images)[..., :1]
    return -((level - np.array([0.0, 0.5, 1.0])) ** 2) * 20


def test_networks_and_arrays():
    images = np.repeat((LABELS * 127).astype(np.uint8)[..., None], 3, axis=-1)
    given = images, LABELS
    options = {"name": "bright"}
    source = Source(bright, data=given, options=options)
    metrics = ("leep", "otce")
    found = rank({"bright": source}, given, metrics=metrics, **QUICK)
    assert {cell.status for cell in found.cells} == {"ok"}
    source = Source(bright, options=options)
    alone = rank({"bright": source}, given, metrics=metrics, **QUICK)
    states = {cell.metric: cell.status for cell in alone.cells}
    # A score that needs source images fails for itself; the others are ranked.
    assert states == {"otce": "failed", "leep": "ok"}


def test_the_names_are_public():
    assert trfjax.FeatureSet is FeatureSet
    assert callable(trfjax.as_dataset)


def test_a_pair_of_other_things():
    with pytest.raises(TypeError, match="'a' is a tuple of int, int"):
        rank({"a": (1, 2)}, metrics=("leep",), **QUICK)
    with pytest.raises(TypeError, match="name: function is not a text"):
        Source(bright, bright)


def test_an_option_that_no_network_has():
    with pytest.raises(ValueError, match=r"'layers' of source 'a' .*mean 'layer'"):
        Source("a", bright, options={"layers": "4"})

"""Candidates, and what they show: made once, hashed by content, failing by name."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from tests.ranking.saved import features, plan
from trfjax.ranking.needs import compressed
from trfjax.ranking.plan import Pixels
from trfjax.ranking.sources import (
    SavedSource,
    Seen,
    Source,
    candidates,
    target_name,
)
from trfjax.scores import SCORES


def network(images):
    return images


def seen(candidate, *metrics, pixels: Pixels = 100):
    return Seen(candidate, None, plan(*(metrics or ("leep",)), pixels=pixels), {})


def test_a_list_of_candidates_stays_one():
    given = [Source("a", network), SavedSource("b", features())]
    assert candidates(given) == given and candidates(iter(given)) == given


def test_a_mapping_gives_the_names():
    one, other = features(0), features(1)
    small = compressed(one, plan("nce"), "target")
    given: dict[Any, Any] = {
        "net": network,
        "own": Source(network, data=None),
        "saved": one,
        "pair": (other, one),
        "small": small,
        7: SavedSource("x", one),
    }
    found = candidates(given)
    assert [c.name for c in found] == ["net", "own", "saved", "pair", "small", "7"]
    assert [type(c) for c in found] == [Source] * 2 + [SavedSource] * 4
    assert found[0].model is network and found[1].model is network
    assert found[2].target is one and found[2].source is None
    assert found[3].target is one and found[3].source is other  # (source, target)
    assert found[4].target is small


@pytest.mark.parametrize(
    ("given", "kinds"),
    [
        ((1, 2), "int, int"),
        ((features(),), "FeatureSet"),
        ((features(), "b"), "FeatureSet, str"),
        ((), ""),
        ((features(), features(), features()), "FeatureSet, FeatureSet, FeatureSet"),
    ],
)
def test_a_tuple_of_something_else_is_refused(given, kinds):
    with pytest.raises(
        TypeError, match=f"sources: 'a' is a tuple of {kinds}; expected"
    ):
        candidates({"a": given})


def test_names_of_targets():
    saved = SavedSource("a", features())
    assert target_name(saved, None) == "saved features"
    named = dataclasses.replace(features(), facts={"data": "quito"})
    assert target_name(SavedSource("a", named), None) == "quito"


def test_what_is_made_is_made_once_and_what_failed_fails_again():
    calls = []

    def broken(images):
        calls.append(len(images))
        raise RuntimeError("out of order")

    from tests.ranking.test_rank import dataset

    found = Seen(Source("a", broken), dataset(), plan("leep", pixels=50), {})
    messages = set()
    for _ in range(3):
        with pytest.raises(Exception) as caught:  # whatever a user's network raises
            found.drawn("target")
        messages.add(str(caught.value))
    assert len(messages) == 1 and len(calls) == 1
    one = seen(SavedSource("b", features()), "nce", pixels="all")
    assert one.whole("target") is one.whole("target")
    assert one.drawn("target") is one.drawn("target")


def test_the_target_in_the_form_that_a_score_takes():
    saved = SavedSource("a", features())
    assert seen(saved, pixels=100).labelled(SCORES["leep"]) is saved.target
    whole = seen(saved, "nce", pixels="all").labelled(SCORES["nce"])
    assert whole.pixels == 90


def test_labels_of_one_class_are_refused_unless_no_score_looks_at_them():
    flat = dataclasses.replace(features(), labels=np.ones(90, np.int32))
    single = seen(SavedSource("a", flat), "leep", "energy")
    with pytest.raises(ValueError, match=r"saved features: .* one class.* label imag"):
        single.labelled(SCORES["leep"])
    assert single.labelled(SCORES["energy"]) is flat


def test_the_hash_is_of_what_a_score_reads():
    def content(target, source=None, name="leep", given="mine"):
        candidate = SavedSource(given, target, source)
        return seen(candidate, "leep", "otce").content(SCORES[name])

    one, same = features(0), features(0)
    assert content(one) == content(same) == content(one, given="other name")
    assert content(one) != content(features(1))
    # A score that looks at the target alone does not care for the source.
    assert content(one, features(2)) == content(one)
    assert content(one, features(2), "otce") != content(one, features(3), "otce")
    relabelled = dataclasses.replace(same, labels=same.labels[::-1].copy())
    assert content(relabelled) != content(one)


def test_a_side_that_is_not_there():
    lonely = seen(SavedSource("a", features()))
    with pytest.raises(ValueError, match=r"a: no features of source images.*save them"):
        lonely.drawn("source")
    with pytest.raises(ValueError, match=r"a: this score compares .* give the source"):
        seen(Source("a", network)).drawn("source")


def test_compressed_features_hold_no_single_pixels():
    small = compressed(features(), plan("nce"), "target")
    packed = seen(SavedSource("a", small))
    assert not packed.drawable and packed.whole("target") is small
    with pytest.raises(
        ValueError, match="a: compressed features hold no single pixels"
    ):
        packed.drawn("target")
    assert seen(SavedSource("a", features())).drawable
    assert not seen(SavedSource("a", features(), small)).drawable
    assert seen(Source("a", network)).drawable

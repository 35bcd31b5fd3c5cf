import dataclasses

import jax.numpy as jnp
import numpy as np

from tests.adaptation.cases import network, other_light
from trfjax.adaptation.look import Look, glances, look
from trfjax.state import SourceModel, apply
from trfjax.training.evaluate import normalisation, standardise


def test_a_look_by_hand():
    source, target = network(), other_light(count=10)  # more than one batch
    found = look(source.model, source.card, target)
    images = np.stack([example["image"] for example in target])
    scale = normalisation(source.card)
    logits = apply(source.model, standardise(jnp.asarray(images) / 255.0, scale)).logits
    logits = np.asarray(logits, np.float64).reshape(-1, 3)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    mean, each = p.mean(axis=0), -(p * np.log(p)).sum(axis=1)
    np.testing.assert_allclose(found.shares, np.bincount(p.argmax(1)) / len(p))
    np.testing.assert_allclose(found.entropy, each.mean() / np.log(3), rtol=1e-5)
    information = -(mean * np.log(mean)).sum() - each.mean()
    np.testing.assert_allclose(found.information, information, rtol=1e-3)
    parts = list(glances(source.model, source.card, target))
    assert [len(part.probs) for part in parts] == [8, 2]
    assert [len(part.features) for part in parts] == [8, 2]


def test_a_network_that_says_one_thing_holds_no_information():
    source = network()
    head = {**source.model.params["head"], "kernel": jnp.zeros((1, 1, 2, 3))}
    params = {**source.model.params, "head": head}
    blind = SourceModel(params, source.model.stats, source.model.graphdef)
    found = look(blind, source.card, other_light())
    assert found.information < 1e-6 and abs(found.entropy - 1) < 1e-6


def test_collapse_is_named():
    before = Look(("road", "car"), np.array([0.9, 0.1]), 0.4, 0.2)
    after = dataclasses.replace(before, shares=np.array([1.0, 0.0]), entropy=0.001)
    vanished, sure = after.warnings(before)
    assert vanished.startswith("class 'car' vanished: 10.0 %")
    assert "fell from 0.400 to 0.0010" in sure
    assert before.warnings(before) == ()

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from tests.adaptation.cases import RECIPE, composed, network, other_light, squares
from trfjax.adaptation import get_method
from trfjax.adaptation.adapt import adapt
from trfjax.adaptation.labelled import pseudo_accuracy
from trfjax.adaptation.self_training import predict
from trfjax.training.evaluate import normalisation
from trfjax.training.supervised import Batch

LOW = 0.4


def test_shares_and_accuracy_by_hand():
    method, update, state, _ = composed("self_training", threshold=LOW)
    setting, card, target = update.loss.setting, network().card, other_light(count=9)
    found = pseudo_accuracy(method, setting, state, card, target)
    images = np.stack([example["image"] for example in target])
    labels = np.stack([example["label"] for example in target])
    batch = Batch(jnp.asarray(images), labels, 255, normalisation(card))
    probs = np.asarray(predict(setting, state.memory["labeller"], batch)[0])
    pseudo = np.where(probs.max(axis=-1) > LOW, probs.argmax(axis=-1), 255)
    valid = labels != 255
    kept = valid & (pseudo != 255)
    assert 0 < kept.sum() < valid.sum()
    np.testing.assert_allclose(found["share"], kept.sum() / valid.sum())
    np.testing.assert_allclose(found["accuracy"], (pseudo == labels)[kept].mean())
    for c, name in enumerate(card.class_names):
        row, truth, given = found["classes"][name], labels == c, pseudo == c
        np.testing.assert_allclose(row["share"], (truth & kept).sum() / truth.sum())
        np.testing.assert_allclose(row["recall"], (truth & given).mean() / truth.mean())
        if (given & valid).any():
            both = (given & truth).sum() / (given & valid).sum()
            np.testing.assert_allclose(row["precision"], both)
        else:
            assert row["precision"] is None


@pytest.mark.parametrize(("name", "given"), [("cbst", True), ("source_only", False)])
def test_results_hold_them_where_there_are_any(name, given):
    target = other_light()
    method = get_method(name)
    if given:
        method = dataclasses.replace(method, stride=1)
    result = adapt(
        network(),
        squares(),
        target,
        method=method,
        recipe=RECIPE,
        test=target,
        progress=False,
    )
    pseudo = result.runs[0].pseudo
    assert (pseudo is not None) == given
    if given:  # the portion of a class that it keeps is at most the largest
        assert 0 < pseudo["share"] < 1 and 0 <= pseudo["accuracy"] <= 1

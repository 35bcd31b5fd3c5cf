import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.adaptation.cases import (
    RECIPE,
    SHAPE,
    as_float64,
    composed,
    network,
    other_light,
    squares,
)
from tests.adaptation.test_adversarial import both, deep
from tests.training.cases import assert_same, changed
from trfjax.adaptation import get_method
from trfjax.adaptation.adapt import adapt
from trfjax.adaptation.look import Glance
from trfjax.adaptation.method import compose
from trfjax.adaptation.self_training import widened
from trfjax.state import apply
from trfjax.training.evaluate import standardise
from trfjax.training.step import step

KEY = jax.random.key(7)
LOW = 0.4  # a threshold that some pixels of an untrained network reach


def mean_loss(logits, labels):
    """Cross-entropy of the labelled pixels, one by one in NumPy."""
    logits, labels = np.asarray(logits).reshape(-1, 3), np.ravel(labels)
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    kept = labels != 255
    return -log_probs[kept, labels[kept]].mean()


def test_labels_are_the_surest_predictions_of_the_network_as_it_came(x64):
    model = deep()
    for layers in (1, 2):
        method, update, state, batch = composed(
            "self_training", model=model, threshold=LOW, layers=layers
        )
        state, batch = as_float64(state), as_float64(batch)
        moved = jax.tree.map(lambda leaf: leaf + 1, state.params)
        later = dataclasses.replace(state, params=moved)
        labelled, memory = update.targets(later, batch, KEY)
        images = standardise(batch.target.images / 255.0, batch.target.scale)
        output = apply(as_float64(model.model), images, aux=True)
        probs = [jax.nn.softmax(x) for x in (output.logits, *output.aux)][:layers]
        surest = np.stack([np.asarray(p.max(axis=-1)) for p in probs])
        classes = np.stack([np.asarray(p.argmax(axis=-1)) for p in probs])
        best = surest.argmax(axis=0)[None]
        expected = np.where(
            surest.max(axis=0) > LOW, np.take_along_axis(classes, best, 0)[0], 255
        )
        np.testing.assert_array_equal(labelled.target.labels, expected)
        assert 0 < (expected != 255).mean() < 1
        assert_same(memory, state.memory)
        assert method.layers == layers


def test_the_loss_is_the_equation(x64):
    recipe = changed(RECIPE, aux_weight=0.1)
    options = {"threshold": LOW, "weight": 0.5}
    _, update, state, batch = composed("self_training", recipe, deep(), **options)
    state, batch = as_float64(state), as_float64(batch)
    labelled, _ = update.targets(state, batch, KEY)
    value, outcome = update.loss(state.params, state, labelled, KEY)
    net = state.params["network"]
    source, target = both(net, state, batch, update.loss.setting.graphdef, "sequential")
    labels = np.asarray(batch.source.labels)
    first = mean_loss(source.logits, labels) + 0.1 * mean_loss(source.aux[0], labels)
    second = mean_loss(target.logits, labelled.target.labels)
    np.testing.assert_allclose(value, first + 0.5 * second, rtol=1e-12)
    share = (np.asarray(labelled.target.labels) != 255).mean()
    np.testing.assert_allclose(outcome.seen["labelled"], share, rtol=1e-6)


def test_with_an_adversary_the_terms_are_added():
    small = get_method("fcd", num_layers=2)
    _, update, state, batch = composed("ssl", adversary=small, threshold=LOW)
    after, seen, fine = step(state, batch, KEY, update=update)
    total = seen["source"] + seen["pseudo"] + 0.001 * seen["fooling_level0"]
    np.testing.assert_allclose(seen["loss"], total, rtol=1e-6)
    assert fine and 0 < seen["labelled"] < 1 and "discriminator_loss" in seen
    assert_same(after.memory, state.memory)


def test_nothing_sure_is_the_source_alone():
    _, update, state, batch = composed("self_training", threshold=1.0)
    _, seen, fine = step(state, batch, KEY, update=update)
    assert fine and seen["pseudo"] == 0 and seen["labelled"] == 0


def test_a_lost_border_is_not_labelled():
    _, _, _, batch = composed("self_training")
    found = widened(jnp.ones((2, 29, 32), jnp.int32), batch.target)
    expected = np.full((2, 32, 32), 255)
    expected[:, 1:30] = 1
    np.testing.assert_array_equal(found, expected)


def test_layers_that_are_not_there_are_refused():
    source = network()
    with pytest.raises(ValueError, match="layers: 2, and tiny has 1"):
        compose(get_method("ssl2"), source.model, source.card, SHAPE, RECIPE)
    with pytest.raises(ValueError, match="layers: 0 must be at least 1"):
        get_method("ssl", layers=0)


# CBST ---------------------------------------------------------------------------------


def round_looks(probs):
    return lambda: iter(
        [Glance(part, jnp.zeros(0)) for part in np.array_split(probs, 2)]
    )


def test_a_round_keeps_the_network_and_the_portion_of_every_class(rng):
    method, _, state, _ = composed("cbst", stride=1, portion=0.5, growth=0.25)
    probs = rng.dirichlet(np.ones(3), (4, 8, 8)).astype(np.float32)
    later = dataclasses.replace(
        state, params=jax.tree.map(lambda leaf: leaf + 1, state.params)
    )
    for number, portion in ((0, 0.5), (1, 0.5)):  # growth stops at the largest: 0.5
        memory = method.round(number, later, round_looks(probs))
        assert_same(memory["labeller"]["params"], later.params["network"])
        confidence, labels = probs.max(axis=-1), probs.argmax(axis=-1)
        for c, threshold in enumerate(np.asarray(memory["thresholds"])):
            values = confidence[labels == c]
            assert (values >= threshold).sum() == int(len(values) * portion)


@pytest.mark.parametrize("name", ["cbst", "crst"])
def test_the_balanced_loss_is_the_equation(name, x64):
    method, update, state, batch = composed(name)
    state, batch = as_float64(state), as_float64(batch)
    thresholds = jnp.array([0.4, 0.3, 0.5])
    state = dataclasses.replace(
        state, memory={**state.memory, "thresholds": thresholds}
    )
    labelled, _ = update.targets(state, batch, KEY)
    net = state.params["network"]
    source, target = both(net, state, batch, update.loss.setting.graphdef, "frozen")
    probs = np.asarray(jax.nn.softmax(target.logits))
    relative = probs / np.asarray(thresholds)
    expected = np.where(relative.max(-1) >= 1, relative.argmax(-1), 255)
    np.testing.assert_array_equal(labelled.target.labels, expected)
    value, _ = update.loss(state.params, state, labelled, KEY)
    logits = np.concatenate([source.logits, target.logits])
    labels = np.concatenate([batch.source.labels, expected])
    total = mean_loss(logits, labels)
    kept = expected != 255
    assert 0 < kept.mean() < 1
    total -= method.regulariser * np.log(probs[kept]).mean()
    np.testing.assert_allclose(value, total, rtol=1e-12)


def test_rounds_go_on_bit_for_bit(tmp_path):
    """Killed within the second round: its labeller is in the checkpoint."""
    source, data, target = network(), squares(), other_light()
    path = tmp_path / "run.safetensors"
    options = {
        "method": get_method("cbst", count=2, stride=1),
        "recipe": RECIPE,
        "progress": False,
    }
    whole = adapt(source, data, target, **options)

    def on_step(number, loss):
        if number == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        adapt(source, data, target, checkpoint=path, on_step=on_step, **options)
    again = adapt(source, data, target, checkpoint=path, resume=True, **options)
    assert_same(again.trained.model, whole.trained.model)
    assert again.runs[0].curves == whole.runs[0].curves


def test_settings_of_rounds_that_do_not_fit():
    with pytest.raises(ValueError, match="count: 0 must be at least 1"):
        get_method("cbst", count=0)
    with pytest.raises(ValueError, match=r"portion: 1\.5 is not within 0\.\.1"):
        get_method("cbst", portion=1.5)

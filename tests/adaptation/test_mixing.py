import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.adaptation.cases import (
    RECIPE,
    as_float64,
    composed,
    network,
    other_light,
    squares,
)
from tests.adaptation.test_adversarial import both, deep
from trfjax.adaptation.adapt import adapt
from trfjax.adaptation.mixing import half_of_classes
from trfjax.training.step import step

KEY = jax.random.key(7)


@pytest.mark.parametrize("present", [(0,), (0, 2), (0, 1, 3), (0, 1, 2, 3), ()])
def test_half_of_the_classes_whole(present, rng):
    labels = np.full((6, 6), 255)
    if present:
        labels[1:] = np.asarray(present)[np.arange(30).reshape(5, 6) % len(present)]
    keys = jax.random.split(jax.random.key(0), 32)
    masks = jax.vmap(lambda key: half_of_classes(jnp.asarray(labels), 4, key=key))
    seen = set()
    for mask in np.asarray(masks(keys)):
        inside, outside = set(labels[mask]), set(labels[~mask])
        assert not inside & outside and 255 not in inside  # whole classes
        assert len(inside) == (len(present) + 1) // 2
        seen |= inside
    assert seen == set(present)  # every class is drawn at some time


def test_mixed_images_labels_and_weights_by_hand(x64):
    method, update, state, batch = composed("dacs", model=deep(), threshold=0.4)
    state, batch = as_float64(state), as_float64(batch)
    mixed, memory = update.targets(state, batch, KEY)
    net = state.params["network"]
    _, target = both(net, state, batch, update.loss.setting.graphdef, "frozen")
    probs = np.asarray(jax.nn.softmax(target.logits))
    share = (probs.max(axis=-1) >= 0.4).mean(axis=(1, 2))
    assert ((share > 0) & (share < 1)).any()
    images, labels = np.asarray(batch.source.images), np.asarray(batch.source.labels)
    for i in range(2):
        pasted = np.asarray(mixed.target.label_weights[i]) == 1.0
        inside = set(labels[i][pasted].tolist())
        assert len(inside) == (len(set(labels[i].ravel().tolist()) - {255}) + 1) // 2
        np.testing.assert_array_equal(
            mixed.target.images[i],
            np.where(pasted[..., None], images[i], batch.target.images[i]),
        )
        np.testing.assert_array_equal(
            mixed.target.labels[i], np.where(pasted, labels[i], probs[i].argmax(-1))
        )
        np.testing.assert_allclose(
            np.asarray(mixed.target.label_weights[i])[~pasted], share[i], rtol=1e-12
        )
    assert memory is state.memory or jax.tree.all(
        jax.tree.map(lambda a, b: (a == b).all(), memory, state.memory)
    )
    value, outcome = update.loss(state.params, state, mixed, KEY)
    _, target = both(net, state, mixed, update.loss.setting.graphdef, "sequential")
    logits = np.asarray(target.logits)
    log_probs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    total = 0.0
    for i in np.ndindex(2, 32, 32):
        total -= mixed.target.label_weights[i] * log_probs[i][mixed.target.labels[i]]
    np.testing.assert_allclose(outcome.seen["mixed"], total / (2 * 32 * 32), rtol=1e-9)
    np.testing.assert_allclose(
        value, outcome.seen["source"] + method.weight * total / 2048, rtol=1e-9
    )


def test_the_teacher_follows():
    _, update, state, batch = composed("dacs", rate=0.75)
    for number in (1, 2, 9):
        begun = dataclasses.replace(state, step=jnp.int32(number - 1))
        after, _, fine = step(begun, batch, KEY, update=update)
        rate = min(1 - 1 / number, 0.75)  # t counts from 0
        expected = jax.tree.map(
            lambda old, new, rate=rate: rate * old + (1 - rate) * new,
            state.memory["params"],
            after.params["network"],
        )
        assert fine
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7),
            after.memory["params"],
            expected,
        )


def test_two_sizes_cannot_be_mixed():
    with pytest.raises(ValueError, match=r"images of shape \(32, 32, 3\) and"):
        adapt(
            network(),
            squares(),
            other_light(size=(32, 48)),
            method="dacs",
            recipe=RECIPE,
            progress=False,
        )

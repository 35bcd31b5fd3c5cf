import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.training.cases import (
    NAMES,
    Tiny,
    assert_same,
    changed,
    leaves,
    network,
    squares,
)
from trfjax.data import Dataset, LabelMap
from trfjax.state import ModelCard, TrainedModel, apply, freeze
from trfjax.training.evaluate import evaluate, normalisation
from trfjax.training.layers import layer_order
from trfjax.training.loop import DivergedError
from trfjax.transfer import alignment
from trfjax.transfer.finetune import finetune
from trfjax.transfer.guide import Guide
from trfjax.transfer.guided import GuidedResult, guided_finetune
from trfjax.transfer.start import Finetuning, prepare
from trfjax.trees import flatten

OTHER = ("left", "up", "down", "right")
SEEN = {
    "loss", "task_difference", "domain_difference", "marginal_error", "converged",
    "gradient_norm", "source_accuracy",
}  # fmt: skip
# Every value here is compiled in: few of them keep the file fast.
ALL = Guide(steps=12, source_batch=5000, target_batch=5000, learning_rate=1e-2)
GUARDED = dataclasses.replace(ALL, task_weight=1.0, source_weight=1.0)
LAST = dataclasses.replace(GUARDED, moves="last-2")
SHORT = changed(batch_norm="frozen", steps=1)
SIZE = (16, 16)


def data(seed=0, count=2, names=NAMES):
    return squares(count, names, seed=seed, size=SIZE)


@functools.cache
def guided(guide=ALL, other=False) -> GuidedResult:
    shots = data(seed=1, names=OTHER if other else NAMES)
    return guided_finetune(
        network(), data(), shots, test=shots, guide=guide, recipe=SHORT, floor=0.0
    )


def moved_layers(before, after):
    pairs = flatten(before.params), flatten(after.params)
    return {
        path.rpartition("/")[0]
        for path, leaf in pairs[0].items()
        if leaf.shape == pairs[1][path].shape and (leaf != pairs[1][path]).any()
    }


def features(source, dataset):
    """Features and labels of all valid pixels, with what the network says of them."""
    scale = np.asarray(normalisation(source.card))
    parts = []
    for example in dataset:
        image = (example["image"] / 255.0 - scale[0]) / scale[1]
        output = apply(source.model, jnp.asarray(image[None], jnp.float32))
        valid = example["label"] != 255
        parts.append((output.features[0][valid], example["label"][valid]))
    x, y = (np.concatenate(part) for part in zip(*parts, strict=True))
    return x.astype(np.float64), y


def task_difference(x, ys, y, yt, epsilon=0.1):
    """W_T by plain Sinkhorn in float64."""
    cost = ((x[:, None] - y[None]) ** 2).sum(axis=2)
    f, g = np.zeros(len(x)), np.zeros(len(y))
    for _ in range(400):
        f = -epsilon * np.log(np.exp((g - cost) / epsilon).mean(axis=1))
        g = -epsilon * np.log(np.exp((f[:, None] - cost) / epsilon).mean(axis=0))
    plan = np.exp((f[:, None] + g - cost) / epsilon) / len(x) / len(y)
    joint = np.array(
        [[plan[np.ix_(ys == s, yt == t)].sum() for t in set(yt)] for s in set(ys)]
    )
    given = joint / joint.sum(axis=1, keepdims=True)
    return -np.sum(joint * np.log(np.maximum(given, 1e-300)))


@pytest.mark.parametrize("other", [False, True])
def test_the_first_step_sees_the_definition(other):
    names = OTHER if other else NAMES
    found = guided(GUARDED, True) if other else guided()
    x, ys = features(network(), data())
    y, yt = features(network(), data(seed=1, names=names))
    np.testing.assert_allclose(
        found.alignment["task_difference"][0],
        task_difference(x, ys, y, yt),
        rtol=5e-3,
    )


def test_the_result_tells_the_course():
    found = guided()
    assert set(found.alignment) == SEEN
    assert all(len(values) == 12 for values in found.alignment.values())
    assert all(found.alignment["converged"]) and found.stopped is None
    assert len(found.curves["loss"]) == 1 and found.head == "kept"
    assert found.evaluation is not None
    accuracy = evaluate(network().model, network().card, data()).accuracy
    assert found.source_accuracy[0] == accuracy
    np.testing.assert_allclose(
        found.alignment["source_accuracy"][0], accuracy, rtol=1e-6
    )


def test_the_task_difference_falls():
    course = guided().alignment["task_difference"]
    assert course[-1] < course[0] - 0.01


def test_step_1_moves_all_but_the_head():
    found, source = guided(), network()
    moved = moved_layers(source.model, found.aligned.model)
    assert moved == set(layer_order(source.model, (*SIZE, 3))) - {"head"}
    assert_same(found.aligned.model.stats, source.model.stats)


def test_layers_and_losses_of_the_guide():
    source, found = network(), guided(LAST)
    # Both cross-entropies look through the head, which is kept.
    assert moved_layers(source.model, found.aligned.model) == {"conv2", "norm2", "head"}
    extra = found.alignment["loss"][0] - found.alignment["task_difference"][0]
    expected = sum(
        -evaluate(source.model, source.card, part).log_likelihood
        for part in (data(), data(seed=1))
    )
    np.testing.assert_allclose(extra, expected, rtol=1e-4)


def test_a_new_head_is_learned_beside_that_of_the_source():
    found, source = guided(GUARDED, True), network()
    assert found.head == "new" and found.trained.card.class_names == OTHER
    settings = Finetuning(recipe=SHORT)
    fresh = prepare(source, data(seed=1, names=OTHER), settings).model
    assert moved_layers(fresh, found.aligned.model) == set(
        layer_order(source.model, (*SIZE, 3))
    )
    # The source is judged by its own head, which moved too and keeps it known.
    assert found.alignment["source_accuracy"][0] == pytest.approx(
        found.source_accuracy[0], rel=1e-6
    )
    assert found.source_accuracy[1] > found.source_accuracy[0]


def test_a_guide_that_moves_nothing():
    guide = dataclasses.replace(ALL, moves="head")
    with pytest.raises(ValueError, match="moves no layer before the head"):
        guided_finetune(network(), data(), data(seed=1), guide=guide, recipe=SHORT)


def test_the_rest_is_ordinary_fine_tuning():
    found = guided()
    again = finetune(found.aligned, data(seed=1), recipe=SHORT)
    assert_same(again.trained.model, found.trained.model)


@pytest.mark.parametrize(
    ("looks", "stopped"), [([0.8, 0.73, 0.71], 10), ([0.8, 0.7], 0)]
)
def test_the_guard_goes_back(looks, stopped, monkeypatch):
    told = iter(looks)

    class Look:
        def __init__(self, *args):
            self.accuracy = next(told)

    full = guided().aligned.model
    monkeypatch.setattr(alignment, "evaluate", Look)
    found = guided_finetune(
        network(), data(), data(seed=1), guide=ALL, recipe=SHORT, floor=0.9
    )
    assert found.stopped == stopped
    assert found.source_accuracy == (looks[0], looks[-2])
    moved = moved_layers(network().model, found.aligned.model)
    assert bool(moved) == (stopped > 0)
    assert moved_layers(full, found.aligned.model)  # not the last step's network


def test_seeds_ignored_images_and_batch_norm():
    shots = data(seed=1, count=3)

    def read(position):
        image, label = shots.read(position)
        return image, label if position else np.full_like(label, 255)

    blind = dataclasses.replace(shots, read=read)
    guide = Guide(steps=3, source_batch=50, target_batch=60, batch_norm="adapt")

    def run(seed):
        return guided_finetune(
            network(), data(), blind, guide=guide, images=1, balanced=True,
            recipe=changed(SHORT, seed=seed),
        )  # fmt: skip

    found = run(1)
    losses = found.alignment["loss"]
    # Only the step that drew the blind image has nothing to say, and does no harm.
    assert np.isfinite(losses).all() and losses.count(0.0) == 1
    assert losses == run(1).alignment["loss"] != run(2).alignment["loss"]
    pairs = leaves(found.aligned.model.stats), leaves(network().model.stats)
    assert any((a != b).any() for a, b in zip(*pairs, strict=True))


class Vector(Tiny):
    """The tiny network with its features averaged: one label an image."""

    def __call__(self, x, *, aux=False, taps=(), rngs=None):
        found = super().__call__(x).features.mean(axis=(1, 2))
        logits = self.head(found[:, None, None])[:, 0, 0]
        return type(super().__call__(x))(logits, logits, found)


def pictures(count, seed, period=1):
    """Images of one bright colour; at period 1 the label is its place."""

    def read(position):
        rng = np.random.default_rng([seed, position])
        image = rng.integers(0, 80, (8, 8, 3))
        image[..., position % 3] += 120
        return image.astype(np.uint8), np.array(position // period % 3, np.int32)

    ids = tuple(f"{seed}-{i}" for i in range(count))
    return Dataset("pictures", LabelMap(NAMES), ids, read, ids, f"p{seed}")


def test_one_label_an_image():
    config = {"num_classes": 3, "width": 4}
    model = freeze(Vector(**config, rngs=nnx.Rngs(0)))
    source = TrainedModel(model, ModelCard("v", "v", config, NAMES, (8, 8)))
    there, here = pictures(12, 0), pictures(6, 1, period=2)
    guide = Guide(steps=2, source_batch=12, target_batch=6)
    found = guided_finetune(source, there, here, guide=guide, recipe=SHORT)
    scale = np.asarray(normalisation(source.card))

    def vectors(dataset):
        images = np.stack([e["image"] for e in dataset]) / 255.0
        x = apply(model, jnp.asarray((images - scale[0]) / scale[1], jnp.float32))
        labels = np.array([int(e["label"]) for e in dataset])
        return np.asarray(x.features, np.float64), labels

    expected = task_difference(*vectors(there), *vectors(here))
    np.testing.assert_allclose(
        found.alignment["task_difference"][0], expected, rtol=5e-3
    )


def test_bad_input():
    source = network()
    with pytest.raises(ValueError, match="needs labelled images of what the network"):
        guided_finetune(source, None, data(seed=1), recipe=SHORT)
    one = data().map(lambda x, y: (x, np.zeros_like(y)), tag="one")
    larger = squares(2, NAMES, size=(32, 32))
    adapting = Guide(steps=1, batch_norm="adapt")
    with pytest.raises(ValueError, match="they pass the network in one batch"):
        guided_finetune(network(), larger, data(), guide=adapting)
    with pytest.raises(ValueError, match="fewer than two classes"):
        guided_finetune(source, data(), one, recipe=SHORT)
    with pytest.raises(ValueError, match="class 'up' is not one the network knows"):
        guided_finetune(source, data(names=OTHER), data(seed=1), recipe=SHORT)
    odd = data().map(lambda x, y: (x, np.where(y == 0, 7, y)), tag="odd")
    with pytest.raises(ValueError, match="label 7 is outside"):
        guided_finetune(source, odd, data(seed=1), recipe=SHORT)
    wrong: list[Any] = [{"images": 0}, {"floor": 2.0}, {"head": "old"}]
    for options in wrong:
        with pytest.raises(ValueError, match=next(iter(options))):
            guided_finetune(source, data(), data(seed=1), recipe=SHORT, **options)


def test_a_loss_that_is_not_finite_stops_with_the_last_good_network():
    model = network().model
    params = jax.tree.map(lambda leaf: leaf, model.params)
    params["conv1"]["kernel"] = params["conv1"]["kernel"].at[0, 0, 0, 0].set(jnp.nan)
    broken = dataclasses.replace(model, params=params)
    source = dataclasses.replace(network(), model=broken)
    with pytest.raises(DivergedError, match="not finite at step 1") as caught:
        guided_finetune(source, data(), data(seed=1), guide=ALL, recipe=SHORT)
    assert_same(caught.value.trained.model.params, broken.params)

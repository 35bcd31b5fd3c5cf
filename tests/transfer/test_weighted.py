import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.training.cases import RECIPE, assert_same, changed, network, squares
from trfjax.features.stream import stream_maps
from trfjax.training.augment import Augment, augment
from trfjax.training.losses import cross_entropy
from trfjax.transfer.finetune import finetune
from trfjax.transfer.weighted import (
    transferability_weights,
    weighted_finetune,
    weights_of,
)

FROZEN = changed(batch_norm="frozen", steps=2)


def rows(source, data):
    images = list(stream_maps(source, data, spaces=("probs",), progress=False))
    probs = np.concatenate([image.features["probs"] for image in images])
    return probs.astype(np.float64), np.concatenate([image.labels for image in images])


def weights_by_hand(scores):
    raw = np.exp(-scores)
    return raw / raw.mean()


@pytest.mark.parametrize("limit", [1.5, 4.0, np.inf])
def test_weights_have_mean_one_and_a_limit(rng, limit):
    scores = -rng.exponential(2.0, (3, 4, 5))
    valid = rng.random((3, 4, 5)) > 0.2
    found = weights_of(scores, valid, limit)
    assert (found[~valid] == 0).all() and (found[valid] > 0).all()
    assert found.max() <= limit * (1 + 1e-9)
    np.testing.assert_allclose(found[valid].mean(), 1, rtol=1e-9)
    below = valid & (found < limit * (1 - 1e-9))
    ratio = found[below] / np.exp(-scores[below])  # one scale for what is not cut
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-9)
    if np.isinf(limit):
        np.testing.assert_allclose(found[valid], weights_by_hand(scores[valid]))


def test_scores_without_bound_give_finite_weights():
    found = weights_of(np.array([-2000.0, 0.0, -1.0]), np.ones(3, bool), 2.0)
    assert np.isfinite(found).all() and found.max() <= 2 * (1 + 1e-9)


def test_the_weights_of_shots_by_leep():
    source, shots = network(), squares(3, seed=1)
    found = transferability_weights(source, shots, limit=np.inf)
    labels = np.stack([example["label"] for example in shots])
    assert found.shape == labels.shape and (found[labels == 255] == 0).all()
    probs, flat = rows(source, shots)
    joint = np.stack([probs[flat == y].sum(axis=0) for y in range(3)])
    scores = np.log(np.sum((joint / joint.sum(axis=0))[flat] * probs, axis=1))
    np.testing.assert_allclose(found[labels != 255], weights_by_hand(scores), rtol=1e-6)


def test_the_weights_of_shots_by_otce():
    """With all pixels coupled, the extension of the plan is the plan itself."""
    size = (12, 12)
    source, shots = network(), squares(2, seed=1, size=size)
    data = squares(2, size=size)
    found = transferability_weights(
        source, shots, score="otce", source_data=data, limit=np.inf
    )
    (x, ys), (y, yt) = rows(source, data), rows(source, shots)
    cost = ((x[:, None] - y[None]) ** 2).sum(axis=2)
    kernel, v, u = np.exp(-cost / 0.1), np.ones(len(y)), np.ones(len(x))
    for _ in range(500):
        u = 1 / len(x) / (kernel @ v)
        v = 1 / len(y) / (kernel.T @ u)
    plan = u[:, None] * kernel * v
    shares = np.stack([plan[ys == s].sum(axis=0) for s in range(3)], axis=1) * len(y)
    joint = np.stack(
        [[plan[np.ix_(ys == s, yt == t)].sum() for t in range(3)] for s in range(3)]
    )
    logs = np.log(joint / joint.sum(axis=1, keepdims=True))
    scores = np.array([shares[j] @ logs[:, t] for j, t in enumerate(yt)])
    labels = np.stack([example["label"] for example in shots])
    np.testing.assert_allclose(found[labels != 255], weights_by_hand(scores), rtol=2e-3)


def test_the_weights_of_shots_by_nce():
    source, shots = network(), squares(3, seed=1)
    found = transferability_weights(source, shots, score="nce", limit=np.inf)
    labels = np.stack([example["label"] for example in shots])
    probs, flat = rows(source, shots)
    predicted = probs.argmax(axis=1)
    pairs = zip(predicted, flat, strict=True)
    scores = np.array([np.log(np.mean(flat[predicted == z] == y)) for z, y in pairs])
    np.testing.assert_allclose(found[labels != 255], weights_by_hand(scores), rtol=1e-6)


def test_weights_move_with_the_labels(rng):
    """A weight painted from the label stays on its label through augmentation."""
    labels = jnp.asarray(rng.integers(0, 3, (4, 16, 20)))
    images, key = jnp.zeros((4, 16, 20, 3)), jax.random.key(3)
    config = Augment(scale=1.0)
    _, moved = augment(images, labels, config, ignore=255, key=key)
    _, weights = augment(images, labels + 0.5, config, ignore=0, key=key)
    expected = np.where(moved == 255, 0, moved + 0.5)
    assert (moved == 255).any() and (np.asarray(moved) != labels).any()
    np.testing.assert_array_equal(weights, expected)


def test_weights_of_one_change_nothing():
    ones = np.ones((4, 32, 32))
    recipe = changed(augment=Augment())
    plain = finetune(network(), squares(), recipe=recipe)
    same = finetune(network(), squares(), recipe=recipe, label_weights=ones)
    np.testing.assert_allclose(same.curves["loss"], plain.curves["loss"], rtol=1e-5)


def test_a_weight_of_zero_is_an_ignored_label():
    rng = np.random.default_rng(0)
    keep = rng.random((4, 32, 32)) > 0.5

    def read(position):
        image, label = squares().read(position)
        return image, np.where(keep[position], label, 255)

    blind = dataclasses.replace(squares(), read=read)
    options: dict[str, Any] = {"recipe": FROZEN, "class_weights": np.ones(3)}
    one = finetune(network(), blind, **options)
    two = finetune(network(), squares(), label_weights=keep * 3.0, **options)
    np.testing.assert_allclose(one.curves["loss"], two.curves["loss"], rtol=1e-5)


def test_the_first_loss_is_the_weighted_mean():
    source, shots = network(), squares(2, seed=1)
    weights = transferability_weights(source, shots)
    found = weighted_finetune(source, shots, recipe=FROZEN)
    probs, flat = rows(source, shots)
    labels = np.stack([example["label"] for example in shots])
    w = weights[labels != 255]
    expected = -np.sum(w * np.log(probs[np.arange(len(flat)), flat])) / w.sum()
    np.testing.assert_allclose(found.curves["loss"][0], expected, rtol=1e-5)
    logits = np.log(probs)
    np.testing.assert_allclose(
        cross_entropy(logits, flat, weights=w), expected, rtol=1e-5
    )


def test_held_out_images_take_their_weights_along():
    weights = np.ones((6, 32, 32))
    shots = squares(6)
    part, _ = shots.split(0.5, seed=RECIPE.seed)
    inside = [shots.image_ids.index(name) for name in part.image_ids]
    outside = np.setdiff1d(range(6), inside)
    weights[outside] = 0  # without effect: those are not trained on
    options: dict[str, Any] = {"recipe": FROZEN, "held_out": 0.5}
    one = finetune(network(), shots, label_weights=weights, **options)
    two = finetune(network(), shots, **options)
    assert_same(one.trained.model, two.trained.model)
    weights[inside[0], :16] = 0
    other = finetune(network(), shots, label_weights=weights, **options)
    assert other.curves["loss"] != two.curves["loss"]


def test_settings_that_do_not_fit():
    source, shots = network(), squares()
    with pytest.raises(ValueError, match="needs it; 'leep' does not"):
        transferability_weights(source, shots, score="otce")
    wrong: list[Any] = [{"score": "h_score"}, {"limit": 1.0}, {"limit": float("nan")}]
    for options in wrong:
        with pytest.raises(ValueError, match=next(iter(options))):
            transferability_weights(source, shots, **options)
    for weights, match in (
        (np.ones((3, 32, 32)), r"\(3, 32, 32\), the labels have \(4, 32, 32\)"),
        (np.zeros((4, 32, 32)), "not all 0"),
        (np.full((4, 32, 32), np.nan), "finite"),
    ):
        with pytest.raises(ValueError, match=match):
            finetune(source, shots, label_weights=weights, recipe=FROZEN)

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.training.cases import assert_same, network
from trfjax.models import create_model
from trfjax.state import Output, apply
from trfjax.training import supervised as supervised_file
from trfjax.training.augment import NONE, Augment
from trfjax.training.losses import cross_entropy, dice_loss
from trfjax.training.recipe import Recipe
from trfjax.training.step import begin
from trfjax.training.supervised import (
    Batch,
    LossWeights,
    augmented,
    label_loss,
    supervised,
)


def batch(rng, side=16):
    return Batch(
        images=rng.integers(0, 255, (2, side, side, 1)).astype(np.float32),
        labels=rng.integers(0, 2, (2, side, side)),
        ignore=np.int32(255),
        scale=np.array([[0.5], [0.5]], np.float32),
    )


def test_the_dice_loss_is_added_with_its_weight(rng):
    logits = jnp.asarray(rng.normal(size=(2, 16, 16, 2)), jnp.float32)
    part = jax.tree.map(jnp.asarray, batch(rng))
    found = label_loss(logits, part, LossWeights(dice=0.5))
    expected = cross_entropy(logits, part.labels) + 0.5 * dice_loss(logits, part.labels)
    assert float(found) == pytest.approx(float(expected), rel=1e-6)
    assert float(label_loss(logits, part)) == pytest.approx(
        float(cross_entropy(logits, part.labels)), rel=1e-6
    )


def test_a_recipe_hands_its_weight_to_the_step(rng, key):
    """The loss of a step grows by the Dice loss, and by nothing else."""
    model = create_model("unet", key=key, num_classes=2, in_channels=1, width=2)
    values = {}
    for weight in (0.0, 1.0, 3.0):
        recipe = Recipe(augment=NONE, batch_norm="frozen", dice_weight=weight)
        update = supervised(model.graphdef, recipe)
        state = begin(model.params, model.stats, update)
        part = jax.tree.map(jnp.asarray, batch(np.random.default_rng(0)))
        values[weight] = float(update.loss(model.params, state, part, key)[0])
    grown = values[1.0] - values[0.0]
    assert 0 < grown <= 1
    assert values[3.0] - values[0.0] == pytest.approx(3 * grown, rel=1e-4)


def test_a_negative_weight_is_refused():
    with pytest.raises(ValueError, match="dice_weight: -1"):
        Recipe(dice_weight=-1.0)


def loss_by_hand(logits, part, class_weights=None, label_weights=None):
    """Pixel after pixel, float64."""
    above = below = 0.0
    for place in np.ndindex(part.labels.shape):
        label = int(part.labels[place])
        if label == part.ignore:
            continue
        row = np.asarray(logits[place], np.float64)
        weight = 1.0 if class_weights is None else class_weights[label]
        weight *= 1.0 if label_weights is None else label_weights[place]
        above -= weight * (row[label] - np.log(np.exp(row).sum()))
        below += weight
    return above / below


@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_of_labels_equals_its_definition(weighted, x64, rng):
    logits = rng.normal(size=(2, 6, 6, 2))
    part = batch(rng, 6)
    part.labels[0, :2] = 255
    classes, pixels = rng.uniform(0.5, 2, 2), rng.uniform(0, 2, (2, 6, 6))
    given = {"class_weights": classes, "label_weights": pixels} if weighted else {}
    full = jax.tree.map(jnp.asarray, dataclasses.replace(part, **given))
    expected = loss_by_hand(logits, part, *given.values())
    assert float(label_loss(jnp.asarray(logits), full)) == pytest.approx(expected)


def test_a_network_that_loses_a_border_is_judged_in_the_centre(x64, rng):
    part = batch(rng, 6)
    weights = rng.uniform(0, 2, (2, 6, 6))
    logits = rng.normal(size=(2, 4, 4, 2))
    centre = dataclasses.replace(part, labels=part.labels[:, 1:5, 1:5])
    given = dataclasses.replace(part, label_weights=weights)
    found = label_loss(jnp.asarray(logits), jax.tree.map(jnp.asarray, given))
    expected = loss_by_hand(logits, centre, None, weights[:, 1:5, 1:5])
    assert float(found) == pytest.approx(expected)


def test_images_are_standardised_and_nothing_else_without_augmentation(rng, key):
    part = jax.tree.map(jnp.asarray, batch(rng))
    images, same = augmented(part, NONE, key=key)
    np.testing.assert_allclose(images, (part.images / 255 - 0.5) / 0.5, atol=1e-6)
    assert_same(same, part)


def test_weights_move_as_the_labels_do(rng, key):
    """Weights that say which class a pixel has still say so after all changes."""
    labels = rng.integers(0, 2, (2, 16, 16))
    part = dataclasses.replace(
        batch(rng), labels=labels, label_weights=(1.0 + labels).astype(np.float32)
    )
    part = jax.tree.map(jnp.asarray, part)
    strong = Augment(flip=0.5, scale=0.8, brightness=0.1, contrast=0.1)
    _, moved = augmented(part, strong, key=key)
    found, weights = np.asarray(moved.labels), np.asarray(moved.label_weights)
    assert (found != labels).any()
    inside = found != 255
    np.testing.assert_array_equal(weights[inside], 1 + found[inside])
    assert not weights[~inside].any()  # what came from outside counts for nothing
    np.testing.assert_array_equal(moved.images, part.images)  # as they were


def test_auxiliary_logits_add_their_share(rng, key, monkeypatch):
    model = network().model
    logits = jnp.asarray(rng.normal(size=(2, 16, 16, 3)), jnp.float32)
    asked = []

    def forward(model, images, *, batch_norm, aux, key):
        asked.append(aux)
        output = Output(logits, logits, (), aux=(2 * logits, -logits))
        return output if aux else dataclasses.replace(output, aux=()), model.stats

    monkeypatch.setattr(supervised_file, "forward", forward)
    part = jax.tree.map(jnp.asarray, dataclasses.replace(batch(rng)))
    single = [float(label_loss(z, part)) for z in (logits, 2 * logits, -logits)]
    for weight in (0.0, 0.4):
        update = supervised(model.graphdef, Recipe(augment=NONE, aux_weight=weight))
        state = begin(model.params, model.stats, update)
        value, _ = update.loss(model.params, state, part, key)
        expected = single[0] + weight * (single[1] + single[2])
        assert float(value) == pytest.approx(expected, rel=1e-6)
    assert asked == [False, True]


@pytest.mark.parametrize("policy", ["adapt", "frozen"])
def test_statistics_move_or_stay(policy, rng, key):
    model = network().model
    images = rng.integers(0, 255, (2, 16, 16, 3)).astype(np.float32)
    part = dataclasses.replace(
        batch(rng), images=images, scale=np.full((2, 3), 0.5, np.float32)
    )
    part = jax.tree.map(jnp.asarray, part)
    update = supervised(model.graphdef, Recipe(augment=NONE, batch_norm=policy))
    state = begin(model.params, model.stats, update)
    value, outcome = update.loss(model.params, state, part, key)
    before, after = (jax.tree.leaves(s) for s in (model.stats, outcome.stats))
    stayed = all((a == b).all() for a, b in zip(before, after, strict=True))
    assert stayed == (policy == "frozen") and np.isfinite(value)
    if stayed:
        shown = (images / 255 - 0.5) / 0.5
        logits = apply(model, jnp.asarray(shown)).logits
        assert float(value) == pytest.approx(float(label_loss(logits, part)), rel=1e-6)

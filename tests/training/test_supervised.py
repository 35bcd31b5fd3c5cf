import jax
import jax.numpy as jnp
import numpy as np
import pytest

from trfjax.models import create_model
from trfjax.training.augment import NONE
from trfjax.training.losses import cross_entropy, dice_loss
from trfjax.training.recipe import Recipe
from trfjax.training.step import begin
from trfjax.training.supervised import Batch, label_loss, supervised


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
    found = label_loss(logits, part, dice_weight=0.5)
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

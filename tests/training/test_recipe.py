import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.training.cases import network
from trfjax.training.recipe import Recipe, decayed_leaves, optimiser, schedule


def test_the_learning_rate_rises_and_falls():
    recipe = Recipe(steps=100, learning_rate=1.0, warmup=0.1, final=0.01)
    rates = np.array([schedule(recipe)(i) for i in range(101)])
    assert rates.argmax() == 10 and rates[10] == 1
    assert (np.diff(rates[:11]) > 0).all() and (np.diff(rates[10:]) < 0).all()
    assert rates[0] == pytest.approx(0.1) and rates[100] == pytest.approx(0.01)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_short_runs_have_a_schedule_too(steps):
    recipe = Recipe(steps=steps, warmup=1.0)
    rates = [np.asarray(schedule(recipe)(i)) for i in range(steps)]
    assert all(0 < rate <= recipe.learning_rate for rate in rates)


def test_only_kernels_decay():
    params = network().model.params
    decays = {
        jax.tree_util.keystr(keys[-1:], simple=True): set()
        for keys, _ in jax.tree_util.tree_leaves_with_path(params)
    }
    for keys, value in jax.tree_util.tree_leaves_with_path(decayed_leaves(params)):
        decays[jax.tree_util.keystr(keys[-1:], simple=True)].add(value)
    assert decays == {"kernel": {True}, "bias": {False}, "scale": {False}}


def test_layers_that_stay_do_not_move_at_all():
    params = network().model.params
    recipe = Recipe(weight_decay=0.5)
    rule = optimiser(recipe, trainable=frozenset(["head"]))
    gradients = jax.tree.map(jnp.ones_like, params)
    updates, _ = rule.update(gradients, rule.init(params), params)
    for keys, update in jax.tree_util.tree_leaves_with_path(updates):
        path = jax.tree_util.keystr(keys, simple=True, separator="/")
        assert bool(jnp.any(update != 0)) == path.startswith("head/")


def test_a_recipe_is_a_value():
    assert hash(Recipe()) == hash(Recipe())
    assert Recipe().to_dict()["augment"]["flip"] == 0.5
    assert dataclasses.replace(Recipe(), seed=3) != Recipe()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("warmup", 1.5),
        ("seed", -1),
        ("class_weighting", "inverse"),
        ("batch_norm", "off"),
    ],
)
def test_impossible_settings(name, value):
    with pytest.raises((ValueError, TypeError), match=name):
        Recipe(**{name: value})

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
    ("name", "value", "message"),
    [
        ("steps", 0, "is less than 1"),
        ("steps", -3, "is less than 1"),
        ("batch_size", 0, "is less than 1"),
        ("learning_rate", 0.0, "is not positive"),
        ("learning_rate", -1e-3, "is not positive"),
        ("learning_rate", float("nan"), "is not finite"),
        ("clip", 0.0, "is not positive"),
        ("clip", float("nan"), "is not finite"),
        ("weight_decay", -1.0, "is less than 0"),
        ("weight_decay", float("nan"), "is not finite"),
        ("aux_weight", -0.1, "is less than 0"),
        ("dice_weight", -1.0, "is less than 0"),
        ("warmup", 1.5, "is more than 1"),
        ("warmup", -0.1, "is less than 0"),
        ("final", 2.0, "is more than 1"),
        ("final", float("nan"), "is not finite"),
        ("seed", -1, "is less than 0"),
    ],
)
def test_impossible_numbers_are_refused_by_name(name, value, message):
    with pytest.raises(ValueError, match=f"{name}: {value} {message}"):
        Recipe(**{name: value})
    with pytest.raises(ValueError, match=f"{name}: {value} {message}"):
        dataclasses.replace(Recipe(), **{name: value})


@pytest.mark.parametrize(
    ("name", "value", "known"),
    [
        ("class_weighting", "inverse", "none, sqrt, balanced"),
        ("class_weighting", "Balanced", "none, sqrt, balanced"),
        ("batch_norm", "off", "adapt, frozen"),
    ],
)
def test_an_unknown_choice_is_refused_with_those_there_are(name, value, known):
    recipe = dataclasses.replace(Recipe())
    object.__setattr__(recipe, name, value)  # as without type checks
    with pytest.raises(
        ValueError, match=f"unknown {name} '{value}'; available: {known}"
    ):
        recipe.__post_init__()


def adamw_by_hand(recipe, gradients, params):
    """Loshchilov and Hutter's Algorithm 2, with clipping before it, float64."""
    first, second = 0 * params, 0 * params
    for number, gradient in enumerate(gradients):
        norm = np.linalg.norm(gradient)
        gradient = gradient * min(1, recipe.clip / norm)
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        m, v = first / (1 - 0.9 ** (number + 1)), second / (1 - 0.999 ** (number + 1))
        rate = float(np.asarray(schedule(recipe)(number)))
        decay = recipe.weight_decay * params
        params = params - rate * (m / (np.sqrt(v) + 1e-8) + decay)
    return params


def test_the_rule_is_adamw_with_clipping(x64, rng):
    recipe = Recipe(steps=5, learning_rate=0.1, weight_decay=0.3, clip=1.0, warmup=0.4)
    begun, gradients = rng.normal(size=(3, 2)), rng.normal(size=(5, 3, 2)) * 3
    rule = optimiser(recipe)
    params = {"layer": {"kernel": jnp.asarray(begun)}}
    state = rule.init(params)
    for gradient in gradients:
        slope = {"layer": {"kernel": jnp.asarray(gradient)}}
        updates, state = rule.update(slope, state, params)
        params = jax.tree.map(jnp.add, params, updates)
    expected = adamw_by_hand(recipe, gradients, begun)
    np.testing.assert_allclose(
        params["layer"]["kernel"], expected, rtol=1e-6
    )  # rates are float32


@pytest.mark.parametrize(("warmup", "rise"), [(0.0, 0), (0.25, 5), (1.0, 19)])
def test_the_schedule_by_hand(warmup, rise, x64):
    """A line from a tenth of the peak, then half a cosine to the final share."""
    recipe = Recipe(steps=20, learning_rate=2.0, warmup=warmup, final=0.1)
    for number in range(20):
        if number < rise:
            expected = 0.2 + 1.8 * number / rise
        else:
            turn = np.cos(np.pi * (number - rise) / (20 - rise))
            expected = 2.0 * (0.1 + 0.9 * (1 + turn) / 2)
        assert float(np.asarray(schedule(recipe)(number))) == pytest.approx(
            expected, rel=1e-6
        )

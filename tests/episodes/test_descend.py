import jax
import jax.numpy as jnp
import numpy as np

from trfjax.episodes.descend import descend
from trfjax.training.recipe import Recipe, optimiser
from trfjax.training.step import Outcome, Update, begin

KEY = jax.random.key(3)


def test_descend_is_the_plain_loop(x64):
    recipe = Recipe(steps=7, learning_rate=0.1, warmup=0.3)
    begun = {"a": {"kernel": jnp.ones((2, 2))}, "b": {"bias": jnp.zeros(3)}}

    def value_of(params, key):
        noise = jax.random.normal(key, (3,))
        value = jnp.sum(params["a"]["kernel"] ** 4)
        return value + jnp.sum((params["b"]["bias"] - noise) ** 2), noise[0]

    def loss(params, state, batch, key):
        value, noise = value_of(params, key)
        return value, Outcome(state.stats + 1, (), {"noise": noise})

    update = Update(loss, optimiser(recipe))
    state = begin(begun, jnp.array(0), update)
    found, course, stopped = descend(state, (), KEY, update=update, steps=7)
    params, rule = begun, optimiser(recipe)
    opt_state = rule.init(params)
    for number in range(7):
        key = jax.random.fold_in(KEY, number)
        value, slope = jax.value_and_grad(lambda p, k=key: value_of(p, k)[0])(params)
        np.testing.assert_allclose(course["loss"][number], value, rtol=1e-9)
        updates, opt_state = rule.update(slope, opt_state, params)
        params = jax.tree.map(jnp.add, params, updates)
    for one, other in zip(*map(jax.tree.leaves, (found.params, params)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)
    assert found.stats == 7 and stopped == -1 and course["noise"].shape == (7,)


def test_descend_returns_the_last_state_with_a_finite_loss():
    recipe = Recipe(steps=5, learning_rate=0.1, warmup=0.0, final=1.0, weight_decay=0.0)

    def loss(params, state, batch, key):
        bad = state.stats >= 2  # the third step and those after it
        value = jnp.where(bad, jnp.nan, 1.0) * params["a"]["x"]
        return value, Outcome(state.stats + 1, (), {})

    update = Update(loss, optimiser(recipe))
    state = begin({"a": {"x": jnp.array(1.0)}}, jnp.array(0), update)
    found, course, stopped = descend(state, (), KEY, update=update, steps=5)
    assert stopped == 2
    # Where loss 2 was seen.
    np.testing.assert_allclose(found.params["a"]["x"], 0.9, rtol=1e-4)
    np.testing.assert_allclose(course["loss"][:2], [1.0, 0.9], rtol=1e-4)
    assert jnp.isnan(course["loss"][2:]).all()

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.training.cases import assert_same, leaves, network
from trfjax.state import apply, apply_train
from trfjax.training.recipe import Recipe, optimiser
from trfjax.training.step import Outcome, State, Update, begin, forward, step

KEY = jax.random.key(4)
RATE = 0.1


def quadratic(params, state, batch, key):
    """Half the squared distance to the batch; the statistics count the calls."""
    value = jnp.sum((params["w"] - batch) ** 2) / 2
    return value, Outcome(state.stats + 1, state.memory, {"first": params["w"][0]})


DESCENT = optax.sgd(RATE)
PLAIN = Update(quadratic, DESCENT)


def start(update=PLAIN, **options) -> State:
    return begin({"w": jnp.arange(3.0)}, jnp.zeros((), int), update, **options)


def test_a_step_of_descent_by_hand():
    state, seen, fine = step(start(), jnp.ones(3), KEY, update=PLAIN)
    # w - rate (w - 1) from w = (0, 1, 2): the gradient is (-1, 0, 1).
    np.testing.assert_allclose(state.params["w"], [0.1, 1.0, 1.9], rtol=1e-6)
    np.testing.assert_allclose(seen["loss"], 1.0)
    np.testing.assert_allclose(seen["gradient_norm"], np.sqrt(2), rtol=1e-6)
    assert seen["first"] == 0 and fine and state.step == 1 and state.stats == 1


@pytest.mark.parametrize("trainable", [None, frozenset({"a"})])
def test_the_rule_of_a_recipe_is_optax_in_float64(trainable, x64):
    recipe = Recipe(steps=6, learning_rate=0.1, warmup=0.3, clip=0.5)
    begun = {"a": {"kernel": jnp.ones((2, 2))}, "b": {"bias": jnp.zeros(3)}}

    def loss(params, state, batch, key):
        noise = jax.random.normal(key, (3,))
        value = jnp.sum(params["a"]["kernel"] ** 4)
        value += jnp.sum((params["b"]["bias"] - noise) ** 2)
        return value, Outcome(state.stats, state.memory, {})

    update = Update(loss, optimiser(recipe, trainable=trainable))
    state = begin(begun, (), update)
    rise = optax.linear_schedule(0.01, 0.1, 2)
    rate = optax.join_schedules([rise, optax.cosine_decay_schedule(0.1, 4, 0.01)], [2])
    adamw = optax.adamw(
        rate, weight_decay=1e-4, mask={"a": {"kernel": True}, "b": {"bias": False}}
    )
    params, rule = begun, optax.chain(optax.clip_by_global_norm(0.5), adamw)
    if trainable:
        held = {"a": {"kernel": "moves"}, "b": {"bias": "stays"}}
        rule = optax.partition({"moves": rule, "stays": optax.set_to_zero()}, held)
    opt_state = rule.init(params)
    for number in range(6):
        state, _, _ = step(state, (), KEY, update=update)
        drawn = jax.random.fold_in(KEY, number)
        grads = jax.grad(lambda p, k=drawn, s=state: loss(p, s, (), k)[0])(params)
        updates, opt_state = rule.update(grads, opt_state, params)
        params = optax.apply_updates(params, updates)
    for one, other in zip(leaves(state.params), leaves(params), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    assert bool(trainable) == (state.params["b"]["bias"] == 0).all()


@pytest.mark.parametrize("wrong", [jnp.nan, jnp.inf])
def test_what_is_not_finite_changes_nothing(wrong):
    begun = start()
    state, seen, fine = step(begun, jnp.array([0, wrong, 0]), KEY, update=PLAIN)
    assert not fine and not jnp.isfinite(seen["loss"])
    assert_same(state, begun)


def test_a_gradient_that_is_not_finite_is_noticed():
    def root(params, state, batch, key):  # 0, with an infinite derivative
        return jnp.sqrt(params["w"][0]), Outcome(state.stats, state.memory, {})

    update = Update(root, DESCENT)
    begun = start(update)
    state, seen, fine = step(begun, (), KEY, update=update)
    assert seen["loss"] == 0 and not fine
    assert_same(state, begun)


def add(params, state, batch, key):
    """Pull to the target of the batch, and to what the discriminator says."""
    shown = params["w"] * state.discriminator["d"]
    value = jnp.sum((params["w"] - batch) ** 2) / 2 + jnp.sum(shown)
    return value, Outcome(state.stats, state.memory + 10, {}, shown=shown)


def teach(state, batch, key):
    return batch + state.memory, state.memory + 1


def judge(discriminator, state, batch, shown, key):
    value = jnp.sum(discriminator["d"] * shown)
    return value, {"shown": shown.sum()}


def follow(state, batch):
    return state.memory + state.params["w"].sum() * 0 + 100 * state.step


ALL = Update(
    loss=add,
    rule=DESCENT,
    targets=teach,
    discriminator_loss=judge,
    discriminator_rule=optax.sgd(1.0),
    after=follow,
)


def test_targets_both_updates_and_memory_in_order():
    d, w, memory = np.array([1.0, 2, 3]), np.arange(3.0), 5.0
    options: dict[str, Any] = {"discriminator": {"d": jnp.asarray(d, jnp.float32)}}
    begun = start(ALL, memory=jnp.asarray(memory), **options)
    state, seen, fine = step(begun, jnp.ones(3), KEY, update=ALL)
    target = 1 + memory  # of the memory before
    np.testing.assert_allclose(
        state.params["w"], w - RATE * (w - target + d), rtol=1e-6
    )
    # The discriminator judges what the old network showed, by its old parameters; its
    # gradient is what was shown, w d, which it does not differentiate.
    np.testing.assert_allclose(state.discriminator["d"], d - w * d, rtol=1e-6)
    np.testing.assert_allclose(seen["discriminator_loss"], np.sum(d * w * d))
    np.testing.assert_allclose(seen["shown"], np.sum(w * d))
    assert state.memory == memory + 1 + 10 + 100 and fine
    assert jax.tree.structure(state) == jax.tree.structure(begun)


def test_a_discriminator_that_is_not_finite_changes_nothing():
    discriminator = {"d": jnp.array([1.0, 1.0, 1e38])}
    begun = start(ALL, memory=jnp.asarray(5.0), discriminator=discriminator)
    begun = dataclasses.replace(begun, params={"w": jnp.array([0.0, 0.0, 1.0])})
    state, seen, fine = step(begun, jnp.ones(3), KEY, update=ALL)
    assert jnp.isfinite(seen["loss"]) and not jnp.isfinite(seen["discriminator_loss"])
    assert not fine
    assert_same(state, begun)


def test_what_stands_beside_the_loss_changes_no_draw_of_it():
    def noisy(params, state, batch, key):
        drawn = jax.random.normal(key)
        return jnp.sum(params["w"]), Outcome(state.stats, (), {"drawn": drawn})

    def note(state, batch, key):
        return batch, ()

    def ignore(discriminator, state, batch, shown, key):
        return jnp.sum(discriminator), {"judged": jax.random.normal(key)}

    alone = Update(noisy, DESCENT)
    other = Update(
        noisy, DESCENT, note, discriminator_loss=ignore, discriminator_rule=DESCENT
    )
    first = step(start(alone), (), KEY, update=alone)[1]
    second = step(start(other, discriminator=jnp.ones(2)), (), KEY, update=other)[1]
    assert first["drawn"] == second["drawn"] != second["judged"]
    drawn = jax.random.normal(jax.random.fold_in(KEY, 0))
    np.testing.assert_allclose(first["drawn"], drawn)


def test_scan_vmap_and_no_jit_agree():
    batches = jax.random.normal(KEY, (4, 3))
    run = functools.partial(step, key=KEY, update=PLAIN)
    state = start()
    for batch in batches:
        state, _, _ = run(state, batch)
    scanned, seen = jax.lax.scan(lambda s, b: run(s, b)[:2], start(), batches)
    assert seen["loss"].shape == (4,)
    with jax.disable_jit():
        plain = start()
        for batch in batches:
            plain, _, _ = run(plain, batch)
    side = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), start())
    for batch in batches:
        side, _, fine = jax.vmap(run)(side, jnp.stack([batch, batch * jnp.nan]))
        assert fine.tolist() == [True, False]
    sides = [jax.tree.map(lambda leaf, i=i: leaf[i], side) for i in range(2)]
    assert_same(sides[1], start())
    for other in (scanned, plain, sides[0]):
        for one, two in zip(leaves(state), leaves(other), strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-6)


def test_equal_updates_share_a_compilation():
    @dataclasses.dataclass(frozen=True)
    class Scaled:
        factor: float

        def __call__(self, params, state, batch, key):
            value, outcome = quadratic(params, state, batch, key)
            return self.factor * value, outcome

    def of(recipe, factor=2.0):
        return Update(Scaled(factor), optimiser(recipe))

    program: Any = step
    state = start(of(Recipe()))
    step(state, jnp.ones(3), KEY, update=of(Recipe(seed=1)))
    before = program._cache_size()
    step(state, jnp.ones(3), jax.random.key(9), update=of(Recipe(seed=2)))
    assert program._cache_size() == before
    step(state, jnp.ones(3), KEY, update=of(Recipe(), factor=3.0))
    assert program._cache_size() == before + 1


def test_the_policy_of_batch_norm():
    model, images = network().model, jax.random.normal(KEY, (2, 8, 8, 3))
    frozen, stats = forward(model, images, batch_norm="frozen", key=KEY)
    assert_same((frozen, stats), (apply(model, images), model.stats))
    adapted = forward(model, images, batch_norm="adapt", key=KEY)
    assert_same(adapted, apply_train(model, images, key=KEY))


def test_half_a_discriminator_is_refused():
    with pytest.raises(ValueError, match="a discriminator needs both"):
        Update(quadratic, DESCENT, discriminator_loss=judge)

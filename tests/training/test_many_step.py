"""One step of several sources, against the step of each."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.training.cases import assert_same, leaves
from trfjax.training.many_step import (
    ORDERS,
    Program,
    chosen_order,
    many_step,
    part_of,
    stacked,
)
from trfjax.training.step import Outcome, State, Update, begin, step

SOURCES = 3


def loss(params, state, batch, key):
    """A cubic, so that no two steps are alike, and a draw of the source's own key."""
    noise = jax.random.normal(key, params["w"].shape)
    value = jnp.sum((params["w"] - batch + 0.1 * noise) ** 2 * (1 + params["w"] ** 2))
    return value, Outcome(state.stats + 1, state.memory, {"unused": value})


UPDATE = Update(loss, optax.adam(0.1))
KEYS = jax.random.split(jax.random.key(0), SOURCES)


def states() -> State:
    return stacked([begin({"w": jnp.arange(2.0) + i}, jnp.zeros(()), UPDATE)
                    for i in range(SOURCES)])  # fmt: skip


def batches(bad=None):
    batch = np.arange(2.0 * SOURCES).reshape(SOURCES, 2).astype(np.float32)
    if bad is not None:
        batch[bad] = np.nan
    return jnp.asarray(batch)


def run(order, alive=(True,) * SOURCES, bad=None, many=1):
    """Do some steps in one order; return states, losses and who is alive after each."""
    program, state = Program(UPDATE, order), states()
    alive, losses = jnp.asarray(alive), []
    # Batches here are arrays; the type of the argument is that of images.
    plain = getattr(many_step, "__wrapped__", many_step)
    plain = getattr(plain, "__wrapped__", plain)
    go = jax.jit(functools.partial(plain, program=program))
    for _ in range(many):
        state, values, alive = go(state, alive, batches(bad), KEYS)
        losses.append(np.asarray(values))
    return state, np.stack(losses), np.asarray(alive)


@pytest.mark.parametrize("order", ["unrolled", "map", "vmap"])
def test_every_source_takes_the_step_it_takes_alone(order):
    found, losses, alive = run(order, many=3)
    assert alive.all()
    for i in range(SOURCES):
        one = part_of(states(), i)
        for number in range(3):
            one, seen, fine = step(one, batches()[i], KEYS[i], update=UPDATE)
            assert fine
            np.testing.assert_allclose(losses[number, i], seen["loss"], rtol=1e-6)
        for a, b in zip(leaves(part_of(found, i)), leaves(one), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5)


@pytest.mark.parametrize("order", ["unrolled", "map", "vmap"])
def test_who_is_not_alive_stays_as_it_is(order):
    found, _, alive = run(order, (True, False, True), many=2)
    assert alive.tolist() == [True, False, True]
    assert_same(part_of(found, 1), part_of(states(), 1))
    whole, _, _ = run(order, many=2)
    for i in (0, 2):
        assert_same(part_of(found, i), part_of(whole, i))


@pytest.mark.parametrize("order", ["unrolled", "map", "vmap"])
def test_who_is_no_longer_finite_keeps_the_last_state_and_stays_out(order):
    found, losses, alive = run(order, bad=1, many=2)
    assert alive.tolist() == [True, False, True]
    assert_same(part_of(found, 1), part_of(states(), 1))
    assert np.isnan(losses[:, 1]).all() and np.isfinite(losses[:, [0, 2]]).all()
    assert part_of(found, 0).step == 2 and part_of(found, 1).step == 0


def test_all_orders_give_the_same_numbers():
    results = [run(order, many=3) for order in ("unrolled", "map", "vmap")]
    for other in results[1:]:
        np.testing.assert_allclose(other[1], results[0][1], rtol=1e-6)
        for a, b in zip(leaves(other[0]), leaves(results[0][0]), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5)


@pytest.mark.parametrize(
    ("asked", "backend", "order"),
    [
        ("auto", "cpu", "unrolled"),
        ("auto", "gpu", "vmap"),
        ("auto", "tpu", "vmap"),
        ("map", "cpu", "map"),
        ("unrolled", "gpu", "unrolled"),
        ("vmap", "cpu", "vmap"),
    ],
)
def test_the_order_that_suits_the_device(asked, backend, order, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    assert asked in ORDERS and chosen_order(asked) == order


def test_stacked_trees_and_their_parts():
    trees = [{"a": jnp.full(2, i), "b": (jnp.asarray(i),)} for i in range(3)]
    whole = stacked(trees)
    assert whole["a"].shape == (3, 2) and whole["b"][0].shape == (3,)
    for i in range(3):
        assert_same(part_of(whole, i), trees[i])


def test_trees_of_other_shapes_are_no_stack():
    with pytest.raises(ValueError, match="shape"):
        stacked([{"a": jnp.zeros(2)}, {"a": jnp.zeros(3)}])
    with pytest.raises(ValueError, match=r"(?i)dict"):
        stacked([{"a": jnp.zeros(2)}, {"b": jnp.zeros(2)}])


def test_equal_programs_are_one():
    """A static argument: equal ones share a compilation."""
    one, other = Program(UPDATE, "map"), Program(UPDATE, "map")
    assert one == other and hash(one) == hash(other)
    assert one != Program(UPDATE, "vmap")

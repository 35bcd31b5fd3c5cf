import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.training.cases import NAMES, assert_same, network
from trfjax.state import apply, apply_train
from trfjax.training.layers import with_new_head
from trfjax.transfer.passes import pass_both

SHAPE = (8, 8, 3)
KEY = jax.random.key(0)


def heads():
    source = network().model
    target, _ = with_new_head(source, len(NAMES) + 1, SHAPE, key=jax.random.key(1))
    return source, target


def images(rng):
    return jnp.asarray(rng.normal(size=(2, *SHAPE)), jnp.float32)


def test_frozen_sides_pass_on_their_own(rng):
    source, target = heads()
    x, y = images(rng), images(rng) + 1
    found = pass_both(source, target, x, y, batch_norm="frozen", key=KEY)
    assert_same(found.source, apply(source, x))
    assert_same(found.target, apply(target, y))
    assert_same(found.target_as_source, apply(source, y))
    assert_same(found.stats, source.stats)


def test_adapting_sides_share_one_batch(rng):
    source, target = heads()
    x, y = images(rng), images(rng) + 1
    found = pass_both(source, target, x, y, batch_norm="adapt", key=KEY)
    both = jnp.concatenate([x, y])
    old, _ = apply_train(source, both, key=KEY)
    new, stats = apply_train(target, both, key=KEY)
    assert_same(found.source.logits, old.logits[:2])
    assert_same(found.target_as_source.logits, old.logits[2:])
    assert_same(found.target.logits, new.logits[2:])
    assert_same(found.source.features, new.features[:2])
    assert_same(found.target.features, new.features[2:])
    assert_same(found.stats, stats)


def test_a_shift_between_the_sides_is_not_normalised_away(rng):
    """In batches of their own, half the contrast would give the same features."""
    source, target = heads()
    x = images(rng)
    alone = [apply_train(target, x, key=KEY)[0].features for half in (x, x / 2)]
    found = pass_both(source, target, x, x / 2, batch_norm="adapt", key=KEY)
    apart = found.source.features - found.target.features
    scale = float(jnp.abs(found.source.features).max())
    assert float(jnp.abs(alone[0] - alone[1]).max()) < 1e-2 * scale  # epsilon of norms
    assert float(jnp.abs(apart).max()) > 0.2 * scale


@pytest.mark.parametrize("batch_norm", ["frozen", "adapt"])
def test_target_features_are_those_of_a_single_pass(rng, batch_norm):
    """The pass through the other head is not differentiated for their sake."""
    source, target = heads()
    x, y = images(rng), images(rng)

    def total(params):
        old = dataclasses.replace(source, params=params)
        found = pass_both(old, target, x, y, batch_norm=batch_norm, key=KEY)
        return found.target_as_source.features.sum()

    slope = jax.grad(total)(source.params)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(slope))

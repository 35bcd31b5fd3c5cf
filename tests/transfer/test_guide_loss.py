import jax
import jax.numpy as jnp
import numpy as np

from trfjax.transfer.guide_loss import draw


def test_balanced_draws(rng):
    labels = jnp.asarray(np.repeat([0, 1, 2], [900, 90, 10]))
    valid = jnp.asarray(rng.random(1000) > 0.1)
    counts = np.zeros((2, 3))
    for balanced in (False, True):
        for seed in range(20):
            key = jax.random.key(seed)
            chosen = draw(key, labels, valid, 15, 3, balanced=balanced)
            assert len(set(np.asarray(chosen).tolist())) == 15 and valid[chosen].all()
            counts[int(balanced)] += np.bincount(labels[chosen], minlength=3)
    share = counts / counts.sum(axis=1, keepdims=True)
    assert share[0, 0] > 0.8 and share[1].max() < 0.45 and share[1].min() > 0.2


def test_a_draw_is_filled_up_when_few_are_valid():
    valid = jnp.arange(10) < 3
    chosen = draw(jax.random.key(0), jnp.zeros(10, int), valid, 6, 2, balanced=True)
    assert set(np.asarray(chosen[:3]).tolist()) == {0, 1, 2}

import jax.numpy as jnp
import numpy as np
import pytest

from tests.scores.made import made_up
from trfjax.scores.hscore import h_score
from trfjax.scores.soft_hgr import max_h_score_network, soft_hgr


def test_objective_equals_the_definition(x64, rng):
    f, g = rng.normal(size=(30, 3)) + 2, rng.normal(size=(30, 3)) - 1
    f0, g0 = f - f.mean(axis=0), g - g.mean(axis=0)
    expected = np.mean(np.sum(f0 * g0, axis=1))
    expected -= np.trace((f0.T @ f0 / 30) @ (g0.T @ g0 / 30)) / 2
    np.testing.assert_allclose(soft_hgr(jnp.asarray(f), jnp.asarray(g)), expected)


def test_its_largest_value_is_half_the_h_score(x64, rng):
    """For given f the best g is a table over the classes: cov(f)^-1 E[f | y]."""
    features, labels = made_up(rng)
    centred = features - features.mean(axis=0)
    means = np.stack([centred[labels == c].mean(axis=0) for c in range(3)])
    table = np.linalg.solve(np.cov(centred.T, bias=True), means.T).T
    best = soft_hgr(jnp.asarray(features), jnp.asarray(table[labels]))
    np.testing.assert_allclose(best, h_score(features, labels) / 2, rtol=1e-9)
    worse = soft_hgr(jnp.asarray(features), jnp.asarray(1.1 * table[labels]))
    assert worse < best


def test_a_network_finds_what_linear_features_do_not(rng):
    """A class inside a ring: no linear map of the plane tells it, a bend does."""
    angle, labels = rng.uniform(0, 2 * np.pi, 400), rng.integers(2, size=400)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1) * (1 + 2 * labels)[:, None]
    assert h_score(ring, labels) < 0.05
    found = max_h_score_network(ring, labels, width=16, steps=100)
    assert 0.8 < found <= 1


def test_independent_labels(rng):
    inputs, labels = rng.normal(size=(300, 2)), rng.integers(2, size=300)
    # Judged on unseen images, what was learned by heart is worth nothing.
    assert max_h_score_network(inputs, labels, width=16, steps=50) < 0.1


def test_errors(rng):
    features, labels = made_up(rng)
    with pytest.raises(ValueError, match="images: a single image"):
        max_h_score_network(features, labels, images=np.zeros(60, int))

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.scores.made import made_up
from trfjax.scores.classwise import by_class, centre, dot, scatter


def arrays(*values):
    return tuple(jnp.asarray(value) for value in values)


def test_counts_means_and_members(x64, rng):
    features, labels = made_up(rng)
    weights = rng.uniform(size=60)
    found = by_class(*arrays(features, labels, weights), 5)
    centred = features - weights @ features / weights.sum()
    np.testing.assert_allclose(found.centred, centred, rtol=1e-10)
    assert found.total == pytest.approx(weights.sum())
    for c in range(5):
        held = labels == c
        np.testing.assert_array_equal(found.member[:, c], held)
        mass = weights[held].sum()
        np.testing.assert_allclose(found.counts[c], mass)
        np.testing.assert_allclose(found.prior[c], mass / weights.sum())
        assert found.present[c] == held.any()
        mean = weights[held] @ centred[held] / mass if mass else np.zeros(4)
        np.testing.assert_allclose(found.means[c], mean, atol=1e-12)
    # The means, by share, are the mean of all: 0.
    np.testing.assert_allclose(found.prior @ found.means, 0, atol=1e-12)


def test_an_absent_class_has_a_derivative(x64, rng):
    features, labels = made_up(rng)

    def value(features):
        found = by_class(features, *arrays(labels, np.ones(60)), 5)
        return jnp.sum(found.means**2) + jnp.sum(found.prior)

    assert np.isfinite(jax.grad(value)(jnp.asarray(features))).all()


@pytest.mark.parametrize("shift", [0.0, 1e3, 1e6])
def test_centring_keeps_the_digits_there_are(shift, rng):
    """Of numbers near 1e6 float32 holds steps of 1/16; no more is lost."""
    features, _ = made_up(rng)
    given = (features + shift).astype(np.float32)
    found = np.asarray(centre(*arrays(given, np.full(60, 1 / 60, np.float32))))
    exact = given.astype(float) - given.astype(float).mean(axis=0)
    step = float(np.finfo(np.float32).eps) * max(shift, 10)
    np.testing.assert_allclose(found, exact, atol=4 * step)
    assert np.abs(found.mean(axis=0)).max() <= step


def test_a_constant_column_is_0_and_not_rounding(rng):
    features = rng.normal(size=(60, 3)).astype(np.float32)
    features[:, 1] = np.float32(0.1)
    features[:, 2] = np.where(
        np.arange(60) % 2, 1e4, np.nextafter(np.float32(1e4), 2e4)
    )
    found = np.asarray(centre(*arrays(features, np.full(60, 1 / 60, np.float32))))
    assert not found[:, 1:].any() and found[:, 0].any()


def test_centring_is_differentiable_as_if_nothing_were_cut(x64, rng):
    features = rng.normal(size=(6, 2))
    share = rng.dirichlet(np.ones(6))
    slope = np.asarray(jax.jacobian(lambda f: centre(f, jnp.asarray(share)))(features))
    expected = np.eye(6) - share[None]
    for k in range(2):
        np.testing.assert_allclose(slope[:, k, :, k], expected, atol=1e-12)
        np.testing.assert_allclose(slope[:, k, :, 1 - k], 0, atol=1e-12)


def test_scatter_is_the_sum_of_outer_products(x64, rng):
    rows, weights = rng.normal(size=(9, 3)), rng.uniform(size=9)
    expected = sum(w * np.outer(r, r) for w, r in zip(weights, rows, strict=True))
    found = np.asarray(scatter(*arrays(rows, weights)))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_array_equal(found, found.T)
    assert np.linalg.eigvalsh(found).min() > -1e-12


def test_dot_is_the_product_of_matrices_and_vectors(x64, rng):
    a, b = rng.normal(size=(3, 4)), rng.normal(size=(4, 2))
    np.testing.assert_allclose(dot(*arrays(a, b)), np.einsum("ij,jk->ik", a, b))
    np.testing.assert_allclose(dot(*arrays(a, b[:, 0])), a @ b[:, 0])

"""What both H-scores share."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.scores.made import made_up
from trfjax.scores.whitening import (
    centre,
    decompose,
    default_rcond,
    factor_of,
    root,
    with_gradient_of,
)


def arrays(*values):
    return tuple(jnp.asarray(value) for value in values)


@pytest.mark.parametrize("scale", [2e-37, 1e-20, 1e-3, 1.0, 7.0, 1e20, 8e37])
def test_factors_are_powers_of_two_that_bring_values_to_1(scale):
    values = jnp.asarray(scale * np.array([[0.1, -1.0], [0.25, 0.5]]), jnp.float32)
    for by_column in (True, False):
        factor = np.asarray(factor_of(values, by_column=by_column))
        assert factor.shape == (1, 2)
        np.testing.assert_array_equal(np.log2(factor), np.round(np.log2(factor)))
        largest = np.abs(np.asarray(values) * factor).max(axis=0)
        assert 0.5 <= largest.max() < 1
        if by_column:
            assert (largest >= 0.5).all() and (largest < 1).all()
        # Multiplying by a power of two rounds nothing.
        np.testing.assert_array_equal(np.asarray(values) * factor / factor, values)


def test_factors_of_nothing_and_their_derivative():
    zero = factor_of(jnp.zeros((3, 2)), by_column=True)
    assert np.isfinite(zero).all() and (np.asarray(zero) > 0).all()
    slope = jax.grad(lambda v: factor_of(v, by_column=True).sum())(jnp.ones((3, 2)))
    assert not np.asarray(slope).any()  # held constant


@pytest.mark.parametrize("by_column", [True, False])
def test_centred_features_and_labels(by_column, x64, rng):
    features, labels = made_up(rng)
    weights = rng.integers(0, 3, size=60).astype(float)
    share, centred, member = centre(
        *arrays(features, labels, weights), 4, by_column=by_column
    )
    np.testing.assert_allclose(share, weights / weights.sum())
    exact = features - share @ features
    ratio = np.asarray(centred) / exact
    factor = ratio[0]
    np.testing.assert_allclose(ratio, np.tile(factor, (60, 1)), rtol=1e-8)
    assert by_column or np.ptp(factor) < 1e-8 * factor[0]
    prior = np.bincount(labels, weights, 4) / weights.sum()
    onehot = np.eye(4)[labels] - prior
    expected = onehot[:, :3] / np.sqrt(prior[:3])
    np.testing.assert_allclose(member[:, :3], expected, rtol=1e-10)
    assert not np.asarray(member[:, 3]).any()  # an absent class
    # Rows and columns of the classes: the covariance is a projection less its mean.
    gram = (np.asarray(member) * share[:, None]).T @ member
    values = np.linalg.eigvalsh(gram)
    np.testing.assert_allclose(values, [0, 0, 1, 1], atol=1e-10)


def test_decomposition(x64, rng):
    centred = rng.normal(size=(20, 4))
    share = rng.dirichlet(np.ones(20))
    left, size, right = decompose(*arrays(share, centred))
    rows = np.sqrt(share)[:, None] * centred
    np.testing.assert_allclose((left * size) @ right, rows, atol=1e-12)
    np.testing.assert_allclose(left.T @ left, np.eye(4), atol=1e-12)
    assert (np.diff(size) <= 0).all()
    slope = jax.grad(lambda c: decompose(jnp.asarray(share), c)[1].sum())
    assert not np.asarray(slope(jnp.asarray(centred))).any()  # held constant


def test_root_and_rounding():
    np.testing.assert_allclose(root(jnp.array([4.0, 9.0])), [[2], [3]])
    assert default_rcond(8) == pytest.approx(80 * 2.0**-23)
    assert default_rcond(8, exact=True) == pytest.approx(80 * 2.0**-52)


def test_a_value_with_the_derivative_of_its_bound(x64):
    """max_w 2 w x - w^2 = x^2, at w = x held constant: the derivative is 2 x."""

    def square(x):
        w = jax.lax.stop_gradient(x)
        return with_gradient_of(x**2, 2 * w * x - w**2)

    value, slope = jax.value_and_grad(square)(jnp.asarray(3.0))
    assert (value, slope) == (9, 6)

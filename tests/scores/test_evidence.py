"""The evidence of a linear model, against the density of a Gaussian in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import multivariate_normal

from tests.scores.made import made_up
from trfjax.scores.evidence import (
    HIGHEST,
    LOWEST,
    Spectrum,
    best_ratio,
    evidence,
    reference_evidence,
)

few = settings(max_examples=10, deadline=None, derandomize=True, database=None)


def spectrum(features, columns):
    """Columns `(n, c)` in the basis of the features."""
    n = len(features)
    values, vectors = np.linalg.eigh(features @ features.T)
    kept = values > 1e-10 * values[-1]
    values, vectors = values[kept][::-1], vectors[:, kept][:, ::-1]
    along = (vectors.T @ columns).T ** 2
    rest = np.sum(columns**2, axis=0) - along.sum(axis=1)
    return Spectrum(*(jnp.asarray(v) for v in (values, along, rest, float(n))))


def density(features, column, t):
    """log N(y; 0, (I + F F' / t) / beta) / n at the best beta, by SciPy."""
    n = len(column)
    covariance = np.eye(n) + features @ features.T / t
    beta = n / (column @ np.linalg.solve(covariance, column))
    normal = multivariate_normal(mean=np.zeros(n), cov=covariance / beta)
    return normal.logpdf(column) / n


@pytest.mark.parametrize("t", [1e-3, 0.7, 50.0])
def test_it_is_the_density_of_a_gaussian(t, x64, rng):
    features, labels = made_up(rng)
    columns = np.eye(3)[labels]
    found = evidence(spectrum(features, columns), jnp.full(3, t))
    expected = [density(features, column, t) for column in columns.T]
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    # A grid of t has its own axis in front.
    grid = jnp.asarray([[t] * 3, [2 * t] * 3])
    both = evidence(spectrum(features, columns), grid)
    np.testing.assert_allclose(both[0], found, rtol=1e-12)


def test_the_best_beta_is_the_best(x64, rng):
    """Any other precision of the noise has a lower density."""
    features, labels = made_up(rng)
    column, t = (labels == 1).astype(float), 2.0
    covariance = np.eye(60) + features @ features.T / t
    beta = 60 / (column @ np.linalg.solve(covariance, column))
    best = float(evidence(spectrum(features, column[:, None]), jnp.full(1, t))[0])
    for factor in (0.8, 0.99, 1.01, 1.25):
        cov = covariance / (factor * beta)
        normal = multivariate_normal(mean=np.zeros(60), cov=cov)
        assert normal.logpdf(column) / 60 < best


@few
@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3))
def test_the_search_finds_the_best_ratio(seed, scale):
    with jax.enable_x64(True):
        features, labels = made_up(np.random.default_rng(seed))
        columns = np.eye(3)[labels]
        problem = spectrum(scale * features, columns)
        t, lowest, highest = best_ratio(problem)
        value = np.asarray(evidence(problem, t))
        for c in range(3):
            one = problem._replace(
                along=problem.along[c : c + 1], rest=problem.rest[c : c + 1]
            )

            def lack(u, one=one):
                return -float(evidence(one, jnp.exp(jnp.asarray([u])))[0])

            top = np.log(float(problem.eigenvalues[0]))
            ends = (np.log(LOWEST) + top, np.log(HIGHEST) + top)
            found = minimize_scalar(lack, bounds=ends, method="bounded")
            assert value[c] >= -found.fun - 1e-9  # SciPy's may be another maximum
            if not (lowest[c] or highest[c]):
                slope = lack(np.log(t[c]) + 1e-4) - lack(np.log(t[c]) - 1e-4)
                assert abs(slope) < 1e-10  # level at the top


@pytest.mark.parametrize("mode", ["reference", "reference-2021"])
def test_published_iterations_do_not_pass_the_maximum(mode, x64, rng):
    """They end near it, and no evidence is larger than the largest."""
    features, labels = made_up(rng, 60, 4, 3)
    problem = spectrum(features, np.eye(3)[labels])
    best = evidence(problem, best_ratio(problem)[0])
    for c in range(3):
        one = problem._replace(along=problem.along[c], rest=problem.rest[c])
        found = float(reference_evidence(one, d=4, mode=mode))
        # 1e-5 is added to denominators, and the last step is not repeated.
        assert float(best[c]) - 0.01 < found < float(best[c]) + 1e-3


def test_features_of_no_size_say_nothing(x64):
    nothing = Spectrum(*(jnp.asarray(v) for v in (
        np.zeros(2), np.zeros((1, 2)), np.array([20.0]), 60.0,
    )))  # fmt: skip
    t, lowest, highest = best_ratio(nothing)
    assert np.isfinite(t).all() and bool(highest[0]) and not bool(lowest[0])
    expected = -0.5 * (np.log(2 * np.pi * 20 / 60) + 1)
    np.testing.assert_allclose(evidence(nothing, t), [expected], rtol=1e-9)


def test_a_column_explained_without_error_ends_the_search(x64):
    """One eigenvector holds all of it, so that the evidence grows as t falls."""
    whole = Spectrum(*(jnp.asarray(v) for v in (
        np.array([5.0, 1.0]), np.array([[20.0, 0.0]]), np.array([0.0]), 60.0,
    )))  # fmt: skip
    t, lowest, highest = best_ratio(whole)
    assert bool(lowest[0]) and not bool(highest[0])
    np.testing.assert_allclose(t, [5 * LOWEST], rtol=1e-2)


def test_an_absent_class_is_finite_with_a_finite_derivative(x64, rng):
    features, labels = made_up(rng)
    columns = np.eye(4)[labels]
    problem = spectrum(features, columns)

    def total(along):
        return evidence(problem._replace(along=along), jnp.ones(4)).sum()

    assert np.isfinite(total(problem.along))
    assert np.isfinite(jax.grad(total)(problem.along)).all()

"""Mixtures of Gaussians of weighted rows, against SciPy and the laws of EM."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from trfjax.scores.mixture import expect, fit_mixture, principal

ROWS, COMPONENTS = 60, 3


@functools.partial(jax.jit, static_argnames=("components", "covariance", "steps"))
def run(rows, weights, seed, *, components, covariance, steps, tolerance):
    return fit_mixture(
        rows, weights, jax.random.key(seed),
        components=components, covariance=covariance,
        regularisation=jnp.asarray(1e-6), tolerance=tolerance, steps=steps,
    )  # fmt: skip


def fitted(rows, weights=None, *, seed=0, components=COMPONENTS, covariance="full",
           steps=100, tolerance=1e-9):  # fmt: skip
    weights = np.ones(len(rows)) if weights is None else weights
    return run(
        jnp.asarray(rows), jnp.asarray(weights), seed,
        components=components, covariance=covariance, steps=steps,
        tolerance=jnp.asarray(tolerance),
    )  # fmt: skip


def groups(rng, gap=6.0):
    labels = np.arange(ROWS) % 3
    places = gap * np.array([[0.0, 0], [1, 0], [0, 1]])
    return places[labels] + rng.normal(size=(ROWS, 2)), labels


def densities(rows, shares, means, factors):
    """Weighted densities of every component, `(n, k)`."""
    found = []
    for share, mean, factor in zip(shares, means, factors, strict=True):
        cov: Any = np.asarray(factor) @ np.asarray(factor).T
        normal = multivariate_normal(mean=np.asarray(mean), cov=cov)
        found.append(float(share) * normal.pdf(rows))
    return np.stack(found, axis=1)


def test_expectation_is_the_rule_of_bayes(x64, rng):
    rows, weights = rng.normal(size=(ROWS, 2)), rng.uniform(size=ROWS)
    shares, means = rng.dirichlet(np.ones(3)), rng.normal(size=(3, 2))
    factors = np.tril(rng.normal(size=(3, 2, 2))) + 2 * np.eye(2)
    given = (jnp.asarray(v) for v in (rows, weights, shares, means, factors))
    resp, likelihood = expect(*given)
    joint = densities(rows, shares, means, factors)
    np.testing.assert_allclose(
        resp, joint / joint.sum(axis=1, keepdims=True), rtol=1e-9
    )
    expected = weights @ np.log(joint.sum(axis=1)) / weights.sum()
    assert float(likelihood) == pytest.approx(expected, rel=1e-10)


def test_a_row_far_from_all_has_responsibilities(x64):
    """Their densities are 0 in any type; their logarithms are not."""
    given = (
        np.array([[1e4, 0.0]]), np.ones(1), np.array([0.5, 0.5]),
        np.array([[0.0, 0], [1, 0]]), np.stack([np.eye(2)] * 2),
    )  # fmt: skip
    resp, likelihood = expect(*map(jnp.asarray, given))
    assert np.isfinite(likelihood)
    np.testing.assert_allclose(resp, [[0, 1]], atol=1e-12)


def test_no_step_lowers_the_likelihood(x64, rng):
    """The law of expectation and maximisation, but for the ridge of the covariances."""
    rows, _ = groups(rng, gap=2.0)
    values = [
        float(fitted(rows, steps=steps, tolerance=-1.0)[0].likelihood)
        for steps in (2, 3, 5, 12, 40)
    ]
    assert (np.diff(values) >= -1e-5).all() and values[-1] > values[0]


def test_groups_far_apart_are_found(x64, rng):
    rows, labels = groups(rng, gap=30.0)
    mixture, resp = fitted(rows)
    found = np.asarray(resp).argmax(axis=1)
    assert len({(a, b) for a, b in zip(labels, found, strict=True)}) == 3
    np.testing.assert_allclose(np.sort(mixture.shares), 1 / 3, rtol=1e-9)
    for c in range(3):
        k = found[labels == c][0]
        np.testing.assert_allclose(mixture.means[k], rows[labels == c].mean(axis=0))
        cov = np.cov(rows[labels == c].T, bias=True)
        factor = np.asarray(mixture.factors[k])
        np.testing.assert_allclose(factor @ factor.T, cov, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("covariance", ["full", "diagonal"])
def test_one_component_is_the_gaussian_of_the_rows(covariance, x64, rng):
    rows, weights = (
        rng.normal(size=(ROWS, 2)) @ [[1, 1], [0, 2.0]],
        rng.uniform(size=ROWS),
    )
    mixture, resp = fitted(rows, weights, components=1, covariance=covariance)
    cov = np.cov(rows.T, aweights=weights, bias=True)
    cov = cov if covariance == "full" else np.diag(np.diag(cov))
    factor = np.asarray(mixture.factors[0])
    np.testing.assert_allclose(factor @ factor.T, cov, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(mixture.means[0], weights @ rows / weights.sum())
    np.testing.assert_allclose(resp, 1)
    # Entropy of a Gaussian: the mean log-density at the maximum.
    expected = -0.5 * (2 * np.log(2 * np.pi) + 2 + np.linalg.slogdet(cov)[1])
    assert float(mixture.likelihood) == pytest.approx(expected, abs=1e-4)


def test_rows_of_no_weight_have_no_part(x64, rng):
    rows, _ = groups(rng, gap=30.0)
    weights = np.ones(ROWS)
    weights[::5] = 0
    spoilt = rows.copy()
    spoilt[::5] += 100
    one, two = (fitted(r, weights)[0] for r in (rows, spoilt))
    order = [np.argsort(np.asarray(m.means).sum(axis=1)) for m in (one, two)]
    np.testing.assert_allclose(
        np.asarray(two.means)[order[1]], np.asarray(one.means)[order[0]], atol=1e-6
    )
    assert float(two.likelihood) == pytest.approx(float(one.likelihood), abs=1e-6)


def test_more_components_than_places(x64):
    """Several components share a place; nothing is NaN."""
    rows = np.repeat([[0.0, 0.0], [1.0, 0.0]], ROWS // 2, axis=0)
    mixture, resp = fitted(rows)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(mixture))
    np.testing.assert_allclose(np.asarray(resp).sum(axis=1), 1)


def test_the_steps_are_counted(x64, rng):
    rows, _ = groups(rng, gap=2.0)
    assert int(fitted(rows, steps=5, tolerance=-1.0)[0].steps) == 5
    assert int(fitted(rows, tolerance=1e9)[0].steps) == 2


@pytest.mark.parametrize(
    ("variance", "kept"), [(0.5, 1), (0.9, 1), (0.95, 2), (0.9995, 3), (1.0, 3)]
)
def test_the_fewest_components_that_hold_a_share(variance, kept, rng):
    """Of three directions with 94, 5.9 and 0.06 percent of the variance."""
    base = np.linalg.qr(rng.normal(size=(200, 3)) - 0)[0]
    base -= base.mean(axis=0)
    base = np.linalg.qr(base)[0]
    rows = base * np.sqrt([94.0, 5.94, 0.06])
    assert principal(rows, np.ones(200), variance).shape == (200, kept)


def test_components_of_weighted_rows_are_those_of_repeated_ones(rng):
    rows, counts = rng.normal(size=(40, 3)), rng.integers(1, 4, size=40)
    found = principal(rows, counts.astype(float), 0.9)
    again = principal(np.repeat(rows, counts, axis=0), np.ones(counts.sum()), 0.9)
    first = np.r_[0, np.cumsum(counts)[:-1]]
    np.testing.assert_allclose(np.abs(found), np.abs(again[first]), atol=1e-9)


def test_rows_that_do_not_vary_have_no_component_with_content():
    assert not principal(np.ones((5, 3)), np.ones(5), 0.8).any()

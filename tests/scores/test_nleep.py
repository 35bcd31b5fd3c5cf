import inspect
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from tests.scores.made import made_up
from trfjax.errors import ScoreWarning
from trfjax.scores.mixture import expect, fit_mixture, principal
from trfjax.scores.nleep import nleep, nleep_from_responsibilities


def leep_by_hand(resp, labels):
    classes = np.unique(labels)
    joint = np.stack([resp[labels == c].sum(axis=0) for c in classes]) / len(labels)
    total, rows = joint.sum(axis=0), np.searchsorted(classes, labels)
    terms = [
        np.log(
            sum(joint[y, v] / total[v] * r[v] for v in range(len(r)) if total[v] > 0)
        )
        for y, r in zip(rows, resp, strict=True)
    ]
    return np.mean(terms)


def test_from_responsibilities(x64, rng):
    _, labels = made_up(rng)
    resp = rng.dirichlet(np.ones(5), size=60)
    resp = np.pad(resp, ((0, 0), (0, 1)))  # a component without mass is skipped
    np.testing.assert_allclose(
        nleep_from_responsibilities(resp, labels),
        leep_by_hand(resp, labels),
        rtol=1e-10,
    )
    with pytest.raises(ValueError, match="not a probability distribution"):
        nleep_from_responsibilities(2 * resp, labels)


def test_principal_components(rng):
    rows = rng.normal(size=(50, 3)) * [10, 1, 0.1]
    assert principal(rows, np.ones(50), 0.8).shape == (50, 1)
    assert principal(rows, np.ones(50), 0.999999).shape == (50, 3)
    whole = principal(rows, np.ones(50), 1.0)
    gaps = np.linalg.norm(rows[:, None] - rows, axis=-1)
    np.testing.assert_allclose(np.linalg.norm(whole[:, None] - whole, axis=-1), gaps)


@pytest.mark.parametrize("covariance", ["full", "diagonal"])
def test_the_mixture_is_a_fixed_point_of_its_steps(covariance, x64, rng):
    rows = np.concatenate([rng.normal(size=(40, 2)), rng.normal(size=(40, 2)) + 5])
    mixture, resp = fit_mixture(
        jnp.asarray(rows),
        jnp.ones(80),
        jax.random.key(1),
        components=2,
        covariance=covariance,
        regularisation=1e-6,
        tolerance=1e-10,
        steps=200,
    )
    np.testing.assert_allclose(resp.sum(axis=1), 1, rtol=1e-9)
    level = rows.var(axis=0).mean() * 1e-6
    for k in range(2):
        share = np.asarray(resp[:, k]) / resp[:, k].sum()
        mean = share @ rows
        spread = ((rows - mean) * share[:, None]).T @ (rows - mean)
        if covariance == "diagonal":
            spread = np.diag(np.diag(spread))
        spread += level * np.eye(2)
        np.testing.assert_allclose(mixture.means[k], mean, rtol=1e-6)
        factor = np.asarray(mixture.factors[k])
        np.testing.assert_allclose(factor @ factor.T, spread, rtol=1e-5, atol=1e-6)
    density = np.zeros(80)
    for k in range(2):
        factor = np.asarray(mixture.factors[k])
        cov: Any = factor @ factor.T
        normal = multivariate_normal(mean=mixture.means[k], cov=cov)
        density += float(mixture.shares[k]) * normal.pdf(rows)
    np.testing.assert_allclose(mixture.likelihood, np.log(density).mean(), rtol=1e-6)
    again, _ = expect(jnp.asarray(rows), jnp.ones(80), *mixture[:3])
    np.testing.assert_allclose(again, resp, atol=1e-4)


def test_value_and_bounds(rng):
    labels = np.repeat([0, 1, 2], 40)
    features = 20 * np.eye(3)[labels] + rng.normal(size=(120, 3))
    np.testing.assert_allclose(nleep(features, labels), 0, atol=1e-3)
    noise = rng.normal(size=(120, 3))
    low = -np.log(3)
    assert low <= nleep(noise, labels) < -0.5
    assert nleep(noise, labels) == nleep(noise, labels)  # by its seed
    assert nleep(noise, labels, seed=1) != nleep(noise, labels)


def test_errors(rng):
    features, labels = made_up(rng, 12, 3, 3)
    with pytest.raises(ValueError, match="components: 15 for 12 instances"):
        nleep(features, labels)
    with pytest.raises(ValueError, match="covariance: 'tied' is neither"):
        inspect.unwrap(nleep)(features, labels, covariance="tied")
    with pytest.raises(ValueError, match=r"variance: 0\.0 is not in"):
        nleep(features, labels, variance=0.0)
    with pytest.warns(ScoreWarning, match="not settled after 2 steps"):
        nleep(features, labels, components=3, steps=2)

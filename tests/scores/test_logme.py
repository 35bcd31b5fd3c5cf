import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy.optimize import minimize_scalar

from tests.scores import iris
from trfjax.errors import ScoreWarning
from trfjax.scores.logme import logme


def evidence(log_t, features, column):
    """Return log N(y; 0, (I + F F^T / t) / beta) / n at the best beta, directly."""
    n = len(features)
    covariance = np.eye(n) + features @ features.T * np.exp(-log_t)
    q = column @ np.linalg.solve(covariance, column)
    log_det = np.linalg.slogdet(covariance)[1]
    return -0.5 * (np.log(2 * np.pi * q / n) + 1 + log_det / n)


def lack(log_t, features, column):
    return -evidence(log_t, features, column)


def logme_by_hand(features, labels):
    scores = []
    for y in np.unique(labels):
        column = (labels == y).astype(float)
        loss = functools.partial(lack, features=features, column=column)
        grid = np.linspace(-20, 25, 46)
        best = int(np.argmin([loss(u) for u in grid]))
        around = (grid[max(best - 1, 0)], grid[min(best + 1, 45)])
        found = minimize_scalar(
            loss, bounds=around, method="bounded", options={"xatol": 1e-9}
        )
        scores.append(-found.fun)
    return np.mean(scores)


def fixed_point(features, labels, summed, tolerance, extra):
    """The published iteration, in its own words."""
    n, d = features.shape
    u, s, _ = np.linalg.svd(features, full_matrices=False)
    squared = s**2
    scores = []
    for y in np.unique(labels):
        column = (labels == y).astype(float)
        z2 = (u.T @ column) ** 2
        alpha = beta = 1.0
        m2 = res2 = 0.0
        for _ in range(11):
            t = alpha / beta
            gamma = np.sum(squared / (squared + t))
            m2 = np.sum(squared * z2 / (t + squared) ** 2)
            res2 = np.sum(z2 / (1 + squared / t) ** 2) + column.sum() - z2.sum()
            alpha, beta = gamma / (m2 + 1e-5), (n - gamma) / (res2 + 1e-5)
            if abs(alpha / beta - t) / t <= tolerance:
                break
        total = d * np.log(alpha) + n * np.log(beta) - n * np.log(2 * np.pi)
        total -= np.sum(np.log(alpha + beta * squared))
        total -= (summed - len(squared)) * np.log(alpha)
        total -= beta * (res2 + extra) + alpha * (m2 + extra)
        scores.append(total / (2 * n))
    return np.mean(scores)


def made_up(rng, n, d, classes, signal=0.7):
    labels = rng.permutation(np.arange(n) % classes)
    means = signal * rng.normal(size=(classes, d))
    return means[labels] + rng.normal(size=(n, d)), labels


def deficient(rng):
    features, labels = made_up(rng, 50, 5, 4)
    return np.hstack([features, features[:, :3], np.zeros((50, 2))]), labels


@pytest.mark.parametrize("case", [(60, 5, 3), (24, 36, 3), (40, 40, 3), None])
def test_it_is_the_gaussian_evidence(case, x64, rng):
    features, labels = made_up(rng, *case) if case else deficient(rng)
    expected = logme_by_hand(features, labels)
    np.testing.assert_allclose(logme(features, labels), expected, rtol=1e-9)
    with jax.enable_x64(False):
        single = logme(features, labels)
    # 1e-5: log-densities near 1 from some tens of rounded terms.
    np.testing.assert_allclose(single, expected, rtol=1e-5)


@pytest.mark.parametrize("size", [1e-4, 1e4])
def test_the_search_finds_any_scale(size, x64, rng):
    features, labels = made_up(rng, 60, 5, 3)
    got = logme(size * features, labels)
    np.testing.assert_allclose(got, logme(features, labels), rtol=1e-12)


def test_iris(x64):
    got = logme(iris.FEATURES, iris.LABELS, mode="reference")
    np.testing.assert_allclose(got, -0.1600602, atol=1e-7)
    exact = logme(iris.FEATURES, iris.LABELS)
    expected = logme_by_hand(iris.FEATURES, iris.LABELS)
    np.testing.assert_allclose(exact, expected, rtol=1e-9)
    assert exact > got  # a maximum


@pytest.mark.parametrize("case", [(60, 5, 3), (24, 36, 3), None])
def test_the_published_iterations(case, x64, rng):
    features, labels = made_up(rng, *case) if case else deficient(rng)
    n, d = features.shape
    expected = fixed_point(features, labels, d, 1e-2, 1e-5)
    got = logme(features, labels, mode="reference-2021")
    np.testing.assert_allclose(got, expected, rtol=1e-9)
    expected = fixed_point(features, labels, min(n, d), 1e-3, 0)
    if n < d:
        with pytest.warns(ScoreWarning, match="24 instances for 36 features"):
            got = logme(features, labels, mode="reference")
        assert got > 0 > logme(features, labels)  # the fault, and without it
    else:
        got = logme(features, labels, mode="reference")
    np.testing.assert_allclose(got, expected, rtol=1e-9)


def test_an_absent_class_adds_nothing(x64, rng):
    features, labels = made_up(rng, 60, 5, 3)
    for mode in ("exact", "reference", "reference-2021"):
        expected = logme(features, labels, mode=mode)
        got = logme(features, 2 * labels, num_classes=7, mode=mode)
        np.testing.assert_allclose(got, expected, rtol=1e-13)


def test_intercept_centres_both(x64, rng):
    features, labels = made_up(rng, 60, 5, 3)
    got = logme(features + 10, labels, intercept=True)
    np.testing.assert_allclose(got, logme(features, labels, intercept=True), rtol=1e-11)
    centred = features - features.mean(axis=0)
    expected = []
    for y in range(3):
        column = (labels == y) - np.mean(labels == y)
        grid = np.linspace(-5, 15, 20_001)
        expected.append(max(evidence_on(grid, centred, column)))
    np.testing.assert_allclose(got, np.mean(expected), rtol=1e-6)  # of the grid


def evidence_on(grid, features, column):
    squared, basis = np.linalg.eigh(features @ features.T)
    k = 1 + np.maximum(squared, 0) * np.exp(-grid[:, None])
    q = np.sum((basis.T @ column) ** 2 / k, axis=1)
    n = len(features)
    return -0.5 * (np.log(2 * np.pi * q / n) + 1 + np.log(k).sum(axis=1) / n)


@pytest.mark.parametrize("double", [False, True])
def test_ends_of_the_search_warn(double, rng):
    features, labels = made_up(rng, 60, 5, 3)
    values = []
    for _ in range(2):
        with (
            jax.enable_x64(double),
            pytest.warns(ScoreWarning, match=r"\[0, 1, 2\] are explained without err"),
        ):
            values.append(float(logme(np.eye(3)[labels], labels)))
        double = not double
    np.testing.assert_allclose(*values, rtol=1e-4)  # the end is the same place
    with (
        jax.enable_x64(double),
        pytest.warns(ScoreWarning, match=r"\[0, 1, 2\] are not explained at all"),
    ):
        got = logme(np.zeros((60, 2)), labels)
    np.testing.assert_allclose(got, -0.5 * np.log(2 * np.pi / 3) - 0.5, rtol=1e-5)
    with pytest.warns(ScoreWarning, match="a single class"):
        assert np.isfinite(logme(features, 0 * labels))
    with pytest.warns(ScoreWarning, match="a single class"):
        assert np.isnan(logme(features, 0 * labels, intercept=True))


@pytest.mark.parametrize("shape", [(30, 4), (15, 20)])
def test_the_gradient_agrees_with_differences(shape, x64, rng):
    features, labels = made_up(rng, shape[0], shape[1], 3)
    check_grads(
        jax.jit(lambda f: logme(f, labels, num_classes=3)),
        (jnp.asarray(features),),
        order=1,
        modes=["rev"],
        rtol=1e-5,
    )


@pytest.mark.parametrize("mode", ["exact", "reference", "reference-2021"])
def test_weights_go_through_vmap(mode, x64, rng):
    features, labels = made_up(rng, 30, 3, 3, signal=2)
    weights = rng.permuted(np.tile(np.arange(30.0) % 3, (4, 1)), axis=1)
    found = jax.vmap(
        lambda w: logme(features, labels, weights=w, num_classes=5, mode=mode)
    )(weights)
    for weight, got in zip(weights.astype(int), found, strict=True):
        rows = np.repeat(np.arange(30), weight)
        expected = logme(features[rows], labels[rows], mode=mode)
        np.testing.assert_allclose(got, expected, rtol=1e-9)


def test_errors(rng):
    features, labels = made_up(rng, 12, 2, 3)
    with pytest.raises(ValueError, match="mode: 'fast' is none of exact, reference"):
        inspect.unwrap(logme)(features, labels, mode="fast")
    with pytest.raises(ValueError, match=r"labels: value 2 .*num_classes=2"):
        logme(features, labels, num_classes=2)
    with pytest.raises(ValueError, match="nothing is left"):
        logme(features, labels, ignore=(0, 1, 2))

import inspect

import jax
import numpy as np
import pytest
from jax.test_util import check_grads

from tests.scores.made import made_up
from trfjax.scores.sfda import sfda


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def posterior(x, y, shrinkage):
    """Eigenvectors of the generalised problem, as published, all of them kept."""
    classes = np.unique(y)
    means = np.stack([x[y == c].mean(axis=0) for c in classes])
    prior = np.array([np.mean(y == c) for c in classes])
    within = np.zeros((x.shape[1], x.shape[1]))
    for p, c in zip(prior, classes, strict=True):
        within += p * np.cov(x[y == c].T, bias=True)
    d = len(within)
    within = (1 - shrinkage) * within + shrinkage * np.trace(within) / d * np.eye(d)
    whole = np.cov(x.T, bias=True)
    half = np.linalg.inv(np.linalg.cholesky(within))
    vectors = half.T @ np.linalg.eigh(half @ (whole - within) @ half.T)[1]
    coefficients = means @ vectors @ vectors.T
    bias = -0.5 * np.sum(means * coefficients, axis=1) + np.log(prior)
    return softmax(x @ coefficients.T + bias), within


def power(matrix):
    x = y = matrix.sum(axis=1)
    for _ in range(3):
        y = matrix @ x / np.linalg.norm(matrix @ x)
        x = matrix @ y / np.linalg.norm(matrix @ y)
    return x @ matrix @ y


def sfda_by_hand(x, y, leading):
    classes, y = np.unique(y, return_inverse=True)
    _, within = posterior(x, y, 0.0)
    largest = (
        power(within) if leading == "reference" else np.linalg.eigvalsh(within)[-1]
    )
    shrinkage = max(np.exp(-5 * largest), 1e-10)
    doubled = softmax(posterior(x, y, shrinkage)[0])
    means = np.stack([x[y == c].mean(axis=0) for c in range(len(classes))])
    mixed = np.empty_like(x)
    for i, c in enumerate(y):
        others = np.delete(means, c, axis=0).mean(axis=0)
        mixed[i] = doubled[i, c] * x[i] + (1 - doubled[i, c]) * others
    return np.mean(posterior(mixed, y, shrinkage)[0][np.arange(len(y)), y])


@pytest.mark.parametrize("leading", ["exact", "reference"])
@pytest.mark.parametrize("scale", [0.3, 1.0])
def test_equals_the_definition(scale, leading, x64, rng):
    features, labels = made_up(rng, 80, 4, 3)
    features *= scale
    expected = sfda_by_hand(features, labels, leading)
    got = sfda(features, labels, leading=leading)
    np.testing.assert_allclose(got, expected, rtol=1e-8)  # the definition inverts
    with jax.enable_x64(False):
        single = sfda(features, labels, leading=leading)
    # 1e-3: where nothing is shrunk, the least eigenvalue is rounded by d eps.
    np.testing.assert_allclose(single, expected, rtol=1e-3)


def test_the_input_stays(rng):
    """Published code moves the caller's features."""
    features, labels = made_up(rng)
    before = features.copy()
    sfda(features, labels)
    np.testing.assert_array_equal(features, before)


def test_limits(rng):
    features, labels = made_up(rng)
    assert np.isnan(sfda(features, 0 * labels))
    far = 50 * np.eye(3)[labels] + 0.1 * rng.normal(size=(60, 3))
    np.testing.assert_allclose(sfda(far, labels), 1, rtol=1e-5)
    np.testing.assert_allclose(
        sfda(features, labels + 2, num_classes=8), sfda(features, labels), rtol=1e-5
    )


def test_gradient(x64, rng):
    features, labels = made_up(rng, 15, 3, 3)
    check_grads(
        lambda f: sfda(f, labels, num_classes=3), (features,), order=1, modes=["rev"]
    )


def test_errors(rng):
    features, labels = made_up(rng)
    with pytest.raises(ValueError, match="leading: 'power' is neither"):
        inspect.unwrap(sfda)(features, labels, leading="power")

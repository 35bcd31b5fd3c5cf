import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from tests.scores import iris
from trfjax.errors import ScoreWarning
from trfjax.scores.hscore import h_score, h_score_rank
from trfjax.scores.shrunk import shrunk_h_score


def covariances(features, labels, divisor):
    centred = features - features.mean(axis=0)
    between = np.zeros((features.shape[1],) * 2)
    for y in np.unique(labels):
        mean = centred[labels == y].mean(axis=0)
        between += np.sum(labels == y) * np.outer(mean, mean) / divisor
    return centred.T @ centred / divisor, between


def h_by_hand(features, labels):
    whole, between = covariances(features, labels, len(labels) - 1)
    return np.trace(np.linalg.pinv(whole, rcond=1e-12, hermitian=True) @ between)


def intensity_by_hand(features):
    """Ledoit and Wolf's sums over instances and features, one term at a time."""
    n, d = features.shape
    centred = features - features.mean(axis=0)
    whole = centred.T @ centred / n
    target = np.trace(whole) / d * np.eye(d)
    spread = sum(np.sum((np.outer(f, f) - whole) ** 2) for f in centred) / n**2
    distance = np.sum((whole - target) ** 2)
    return 0.0 if d == 1 else min(spread / distance, 1)


def shrunk_by_hand(features, labels, ddof):
    n, d = features.shape
    alpha = intensity_by_hand(features)
    whole, _ = covariances(features, labels, n)
    _, between = covariances(features, labels, n - 1 if ddof == "reference" else n)
    shrunk = (1 - alpha) * whole + alpha * np.trace(whole) / d * np.eye(d)
    return (1 - alpha) * np.trace(np.linalg.solve(shrunk, between))


def made_up(rng, n, d, classes):
    labels = rng.permutation(np.arange(n) % classes)
    features = rng.normal(size=(classes, d))[labels] + rng.normal(size=(n, d))
    return features @ rng.normal(size=(d, d)) + 3, labels


SHAPES = [(30, 4, 3), (200, 20, 5), (40, 1, 2)]


@pytest.mark.parametrize(("n", "d", "c"), SHAPES)
def test_h_score_equals_the_definition(n, d, c, x64, rng):
    features, labels = made_up(rng, n, d, c)
    expected = h_by_hand(features, labels)
    # 1e-9: the definition inverts a covariance; the score does not.
    np.testing.assert_allclose(h_score(features, labels), expected, rtol=1e-9)
    assert h_score_rank(features, labels) == d
    with jax.enable_x64(False):
        single = h_score(features, labels)
    # 1e-4: rounding of the features times the spread of their singular values.
    np.testing.assert_allclose(single, expected, rtol=1e-4)


@pytest.mark.parametrize("ddof", ["reference", "consistent"])
@pytest.mark.parametrize(("n", "d", "c"), [*SHAPES, (20, 60, 3)])
def test_shrunk_h_score_equals_the_definition(n, d, c, ddof, x64, rng):
    features, labels = made_up(rng, n, d, c)
    expected = shrunk_by_hand(features, labels, ddof)
    got = shrunk_h_score(features, labels, ddof=ddof)
    np.testing.assert_allclose(got, expected, rtol=1e-9)
    with jax.enable_x64(False):
        single = shrunk_h_score(features, labels, ddof=ddof)
    np.testing.assert_allclose(single, expected, rtol=1e-4)


def test_iris(x64):
    single = iris.FEATURES.astype(np.float32)
    got = shrunk_h_score(single, iris.LABELS)
    np.testing.assert_allclose(got, 1.1778424804, rtol=1e-10)
    ratio = shrunk_h_score(single, iris.LABELS, ddof="consistent") / got
    np.testing.assert_allclose(ratio, 149 / 150, rtol=1e-14)


def test_limits(x64, rng):
    features, labels = made_up(rng, 60, 4, 3)
    assert 0 <= h_score(features, 0 * labels) < 1e-30
    assert 0 <= shrunk_h_score(features, 0 * labels) < 1e-30
    assert h_score(np.ones((60, 4)), labels) == 0
    assert h_score_rank(np.ones((60, 4)), labels) == 0
    assert shrunk_h_score(np.ones((60, 4)), labels) == 0
    onehot = np.eye(3)[labels]
    np.testing.assert_allclose(h_score(onehot, labels), 2, rtol=1e-14)
    assert h_score_rank(onehot, labels) == 2
    many = rng.normal(size=(20_000, 3))
    # Of independent features: (classes - 1) rank / (n - 1) = 3e-4 in the mean.
    assert h_score(many, rng.integers(3, size=20_000)) < 1.5e-3


@pytest.mark.parametrize("double", [False, True])
def test_fewer_instances_than_features(double, rng):
    features, labels = made_up(rng, 20, 30, 4)
    with jax.enable_x64(double), pytest.warns(ScoreWarning, match="20 instances .* 19"):
        got = h_score(features, labels)
    np.testing.assert_allclose(got, 3, rtol=1e-4)  # whatever the labels are


@pytest.mark.parametrize("double", [False, True])
def test_rank_deficient_features(double, rng):
    base, labels = made_up(rng, 200, 3, 4)
    features = np.hstack([base, base @ rng.normal(size=(3, 4)), np.ones((200, 1))])
    features = features.astype(np.float32)
    with jax.enable_x64(double):  # float32 features are no better in float64
        assert h_score_rank(features, labels) == 3
        got = h_score(features, labels)
    np.testing.assert_allclose(got, h_by_hand(base, labels), rtol=1e-4)


@pytest.mark.parametrize("double", [False, True])
def test_probabilities_lie_in_a_hyperplane(double, rng):
    labels = rng.integers(5, size=2000)
    logits = rng.normal(size=(2000, 19)) + 2 * rng.normal(size=(5, 19))[labels]
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = h_by_hand(probs[:, 1:], labels)
    with jax.enable_x64(double):
        assert h_score_rank(probs.astype(np.float32), labels) == 18
        got = h_score(probs.astype(np.float32), labels)
    np.testing.assert_allclose(got, expected, rtol=1e-4)


def test_any_invertible_map_keeps_the_h_score(x64, rng):
    features, labels = made_up(rng, 60, 5, 3)
    mapped = features @ rng.normal(size=(5, 5)) - 7
    got = h_score(mapped, labels)
    np.testing.assert_allclose(got, h_score(features, labels), rtol=1e-9)


def test_a_large_mean_in_float32(rng):
    features, labels = made_up(rng, 300, 4, 3)
    features = (features + 1000).astype(np.float32)
    expected = h_by_hand(features.astype(np.float64), labels)
    np.testing.assert_allclose(h_score(features, labels), expected, rtol=1e-4)
    expected = shrunk_by_hand(features.astype(np.float64), labels, "reference")
    np.testing.assert_allclose(shrunk_h_score(features, labels), expected, rtol=1e-4)


def test_full_intensity_warns():
    features = np.vstack([np.eye(4), -np.eye(4)])  # the covariance is round already
    with pytest.warns(ScoreWarning, match="intensity is 1"):
        assert shrunk_h_score(features, [0, 0, 0, 0, 1, 1, 1, 1]) == 0


@pytest.mark.parametrize("score", [h_score, shrunk_h_score])
@pytest.mark.parametrize("shape", [(30, 4), (10, 25)])
def test_the_gradient_agrees_with_differences(score, shape, x64, rng):
    features, labels = made_up(rng, shape[0], shape[1], 3)
    loss = jax.jit(lambda f: score(f, labels, num_classes=4))
    check_grads(loss, (jnp.asarray(features),), order=1, modes=["rev"], rtol=1e-5)


@pytest.mark.parametrize("score", [h_score, shrunk_h_score])
def test_equal_singular_values_have_a_finite_gradient(score, rng):
    labels = np.arange(12) % 3
    features = jnp.asarray(np.eye(4, dtype=np.float32)[np.arange(12) // 3])
    gradient = jax.grad(lambda f: score(f, labels, num_classes=3))(features)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize(
    ("score", "by_hand"),
    [
        (h_score, h_by_hand),
        (shrunk_h_score, lambda f, y: shrunk_by_hand(f, y, "reference")),
    ],
)
def test_weights_go_through_vmap(score, by_hand, x64, rng):
    features, labels = made_up(rng, 30, 3, 3)
    weights = rng.integers(0, 3, size=(4, 30)).astype(float)
    found = jax.vmap(lambda w: score(features, labels, weights=w, num_classes=5))(
        weights
    )
    for weight, got in zip(weights.astype(int), found, strict=True):
        rows = np.repeat(np.arange(30), weight)
        expected = by_hand(features[rows], labels[rows])
        np.testing.assert_allclose(got, expected, rtol=1e-9)


def test_errors(rng):
    features, labels = made_up(rng, 12, 2, 3)
    for value in (-1.0, float("nan")):
        with pytest.raises(ValueError, match=r"rcond: .* is not a number >= 0"):
            h_score(features, labels, rcond=value)
    with pytest.raises(ValueError, match="ddof: 'n' is neither"):
        inspect.unwrap(shrunk_h_score)(features, labels, ddof="n")
    with pytest.raises(ValueError, match="labels: shape"):
        h_score(features, labels[1:])
    with pytest.raises(ValueError, match="features: 1 values are NaN"):
        features[3, 1] = np.nan
        h_score(features, labels)

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from trfjax.scores.leep import label_joint, leep, pixel_leep
from trfjax.scores.nce import nce


def leep_by_hand(probs, labels, classes):
    n, sources = probs.shape
    joint = np.zeros((classes, sources))
    for i in range(n):
        joint[labels[i]] += probs[i] / n
    total = 0.0
    for i in range(n):
        inner = 0.0
        for z in range(sources):
            if joint[:, z].sum() > 0:
                inner += joint[labels[i], z] / joint[:, z].sum() * probs[i, z]
        total += np.log(inner)
    return total / n


def made_up(rng, n, sources, classes):
    labels = rng.permutation(np.arange(n) % classes)
    return rng.dirichlet(np.ones(sources), n), labels


def entropy(labels):
    share = np.unique(labels, return_counts=True)[1] / labels.size
    return -np.sum(share * np.log(share))


@pytest.mark.parametrize(("n", "z", "y"), [(8, 3, 2), (200, 10, 5), (40, 2, 7)])
def test_leep_equals_the_definition(n, z, y, x64, rng):
    probs, labels = made_up(rng, n, z, y)
    expected = leep_by_hand(probs, labels, y)
    np.testing.assert_allclose(leep(probs, labels, num_classes=y), expected, rtol=1e-12)


@pytest.mark.parametrize("n", [200, 20_000])
def test_leep_in_float32(n, rng):
    # 1e-6: logarithms near 1 and a pairwise mean, some ten roundings of 6e-8.
    probs, labels = made_up(rng, n, 10, 5)
    expected = leep_by_hand(probs, labels, 5)
    np.testing.assert_allclose(leep(probs, labels), expected, rtol=1e-6)


def test_leep_by_hand(x64):
    # P(y|z) = [[3/4, 1/4], [1/4, 3/4]], each row explains 3/4^2 + 1/4^2 = 5/8.
    probs = [[0.75, 0.25], [0.25, 0.75]]
    np.testing.assert_allclose(leep(probs, [0, 1]), np.log(5 / 8), rtol=1e-15)


def test_limits(x64, rng):
    labels = rng.integers(3, size=30)
    onehot = np.eye(3)[labels]
    np.testing.assert_allclose(leep(onehot, labels), 0, atol=1e-15)
    constant = np.tile(rng.dirichlet(np.ones(4)), (30, 1))
    np.testing.assert_allclose(leep(constant, labels), -entropy(labels), rtol=1e-14)
    assert leep(constant, np.zeros(30, int)) == pytest.approx(0, abs=1e-15)
    guesses = rng.integers(4, size=30)
    np.testing.assert_allclose(
        leep(np.eye(4)[guesses], labels), nce(guesses, labels), rtol=1e-13
    )


def test_a_source_class_that_never_occurs_is_skipped(x64, rng):
    probs, labels = made_up(rng, 20, 3, 2)
    padded = np.pad(probs, ((0, 0), (1, 2)))
    np.testing.assert_allclose(leep(padded, labels), leep(probs, labels), rtol=1e-14)
    assert np.isfinite(jax.grad(lambda p: leep(p, labels, num_classes=2))(padded)).all()


def test_logits_and_the_mean_probability(x64, rng):
    probs, labels = made_up(rng, 20, 3, 2)
    logits = np.log(probs) + rng.normal(size=(20, 1))
    got = leep(logits, labels, from_logits=True)
    np.testing.assert_allclose(got, leep(probs, labels), rtol=1e-13)
    share = np.stack([probs[labels == y].sum(0) for y in range(2)]) / probs.sum(0)
    expected = np.mean(np.sum(share[labels] * probs, axis=1))
    got = leep(probs, labels, reduction="prob")
    np.testing.assert_allclose(got, expected, rtol=1e-13)


def test_weights_go_through_vmap(x64, rng):
    probs, labels = made_up(rng, 12, 3, 2)
    weights = rng.integers(0, 3, size=(4, 12)).astype(float)
    many = jax.vmap(lambda w: leep(probs, labels, weights=w, num_classes=2))(weights)
    for weight, got in zip(weights.astype(int), many, strict=True):
        rows = np.repeat(np.arange(12), weight)
        expected = leep_by_hand(probs[rows], labels[rows], 2)
        np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_the_gradient_agrees_with_differences(x64, rng):
    probs, labels = made_up(rng, 12, 3, 2)
    logits = jnp.asarray(np.log(probs))
    score = lambda x: leep(x, labels, num_classes=2, from_logits=True)  # noqa: E731
    check_grads(score, (logits,), order=1, modes=["rev"], rtol=1e-5)


@pytest.mark.parametrize(
    ("probs", "settings", "message"),
    [
        ([[2.0, 3.0], [0.5, 0.5]], {}, r"row 0 is not a probability.*from_logits=True"),
        ([[1.5, -0.5], [0.5, 0.5]], {}, r"least entry -0.5"),
        ([[0.5, 0.5]] * 3, {}, r"target_labels: shape \(2,\) does not fit"),
    ],
)
def test_errors(probs, settings, message):
    with pytest.raises(ValueError, match=message):
        leep(probs, [0, 1], **settings)


def test_unknown_reduction():
    with pytest.raises(ValueError, match="reduction: 'sum' is neither"):
        inspect.unwrap(leep)([[0.5, 0.5]], [0], reduction="sum")


def test_the_mean_of_the_pixels_is_leep(rng):
    probs = rng.dirichlet(np.ones(4), 50)
    labels = rng.integers(0, 3, 50)
    joint = label_joint(probs, labels, num_classes=3)
    by_class = [probs[labels == y].sum(axis=0) for y in range(3)]
    np.testing.assert_allclose(joint, by_class)
    found = pixel_leep(joint, probs, labels)
    expected = [
        np.log(sum(joint[y, z] / joint[:, z].sum() * p[z] for z in range(4)))
        for p, y in zip(probs, labels, strict=True)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(found.mean(), leep(probs, labels), rtol=1e-5)


def test_a_source_class_without_mass_and_a_pixel_without_explanation():
    probs = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    found = pixel_leep(probs.copy(), probs, np.array([0, 1]))
    np.testing.assert_allclose(found, 0)
    assert np.isfinite(pixel_leep(probs.copy(), probs, np.array([1, 0]))).all()

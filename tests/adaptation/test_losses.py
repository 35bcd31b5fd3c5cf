"""Every loss against its formula in NumPy, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from trfjax.adaptation.losses import (
    divergence,
    entropy,
    fooling_loss,
    reverse_cross_entropy,
    soft_cross_entropy,
    symmetric_cross_entropy,
    telling_loss,
    uniform_regulariser,
)

K = 4


@pytest.fixture
def case(x64, rng):
    logits = rng.normal(size=(2, 3, K)) * 2
    labels = rng.integers(0, K, (2, 3))
    labels[0, 0] = 255
    probs = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    return jnp.asarray(logits), jnp.asarray(labels), probs, np.asarray(labels) != 255


def pixels(labels, probs):
    """Yield label and probabilities of the valid pixels, one by one."""
    for y, p in zip(np.ravel(labels), probs.reshape(-1, K), strict=True):
        if y != 255:
            yield int(y), p


def test_reverse_and_symmetric_cross_entropy(case):
    logits, labels, probs, _ = case
    rce, ce = [], []
    for y, p in pixels(labels, probs):
        clipped = np.maximum(np.eye(K)[y], 1e-4)
        rce.append(-(p * np.log(clipped)).sum())
        ce.append(-np.log(p[y]))
    found = reverse_cross_entropy(logits, labels)
    np.testing.assert_allclose(found, np.mean(rce), rtol=1e-12)
    both = symmetric_cross_entropy(logits, labels, forward=0.3, backward=0.7)
    expected = 0.3 * np.mean(ce) + 0.7 * np.mean(rce)
    np.testing.assert_allclose(both, expected, rtol=1e-12)
    order = np.array([2, 0, 3, 1])  # new index of every class
    moved = np.where(np.asarray(labels) == 255, 255, order[np.asarray(labels) % 255])
    back = np.argsort(order)
    again = symmetric_cross_entropy(
        logits[..., back], jnp.asarray(moved), forward=0.3, backward=0.7
    )
    np.testing.assert_allclose(again, expected, rtol=1e-12)


def test_soft_cross_entropy_divergence_and_regularisers(case, rng):
    logits, _, probs, valid = case
    q = rng.dirichlet(np.ones(K), (2, 3))
    rows, others = probs[valid], q[valid]
    log_probs = jax.nn.log_softmax(logits)
    pairs = [
        (
            soft_cross_entropy(logits, jnp.asarray(q), jnp.asarray(valid)),
            -(others * np.log(rows)).sum(axis=1).mean(),
        ),
        (
            divergence(jnp.log(q), log_probs, jnp.asarray(valid)),
            (others * np.log(others / rows)).sum(axis=1).mean(),
        ),
        (
            uniform_regulariser(logits, jnp.asarray(valid)),
            -np.log(rows).sum() / (len(rows) * K),
        ),
        (
            entropy(logits, jnp.asarray(valid)),
            -(rows * np.log(rows)).sum() / (len(rows) * np.log(K)),
        ),
    ]
    for found, expected in pairs:
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_divergence_of_equals_is_zero_and_teaches_the_prediction_only(case, rng):
    logits, _, probs, valid = case
    valid, log_probs = jnp.asarray(valid), jax.nn.log_softmax(logits)
    np.testing.assert_allclose(divergence(log_probs, log_probs, valid), 0, atol=1e-15)
    q = jnp.asarray(rng.dirichlet(np.ones(K), (2, 3)))

    def loss(logits, targets):
        return divergence(targets, jax.nn.log_softmax(logits), valid)

    student, teacher = jax.grad(loss, argnums=(0, 1))(logits, jnp.log(q))
    assert (teacher == 0).all()
    expected = np.where(np.asarray(valid)[..., None], probs - q, 0) / valid.sum()
    np.testing.assert_allclose(student, expected, atol=1e-15)
    one_hot = jnp.where(jnp.eye(K)[0] > 0, 0.0, -jnp.inf)  # 0 log 0 is 0
    sure = divergence(jnp.broadcast_to(one_hot, logits.shape), log_probs, valid)
    np.testing.assert_allclose(sure, -np.log(probs[..., 0])[valid].mean(), rtol=1e-12)


def test_the_regulariser_is_least_at_uniform(x64):
    valid, flat = jnp.ones((3,), bool), jnp.zeros((3, K))
    value, slope = jax.value_and_grad(uniform_regulariser)(flat, valid)
    np.testing.assert_allclose(value, np.log(K), rtol=1e-12)
    np.testing.assert_allclose(slope, 0, atol=1e-16)
    assert uniform_regulariser(flat.at[0, 0].set(1.0), valid) > np.log(K)


@pytest.mark.parametrize(
    "loss",
    [
        lambda x: reverse_cross_entropy(x, jnp.full((2,), 255)),
        lambda x: symmetric_cross_entropy(x, jnp.full((2,), 255)),
        lambda x: soft_cross_entropy(x, jnp.ones((2, K)) / K, jnp.zeros(2, bool)),
        lambda x: uniform_regulariser(x, jnp.zeros(2, bool)),
        lambda x: entropy(x, jnp.zeros(2, bool)),
    ],
)
def test_nothing_valid_is_zero_with_a_zero_gradient(loss):
    value, slope = jax.value_and_grad(loss)(jnp.arange(2.0 * K).reshape(2, K))
    assert value == 0 and (slope == 0).all()


def test_adversarial_losses_and_their_gradients(x64, rng):
    s, t = rng.normal(size=(2, 3, 1)), rng.normal(size=(2, 5, 1))
    sigma = 1 / (1 + np.exp(-t))
    telling = -np.log(1 / (1 + np.exp(-s))).mean() / 2 - np.log(1 - sigma).mean() / 2
    np.testing.assert_allclose(
        telling_loss(jnp.asarray(s), jnp.asarray(t), kind="ce"), telling, rtol=1e-12
    )
    squares = ((s - 1) ** 2).mean() / 2 + (t**2).mean() / 2
    np.testing.assert_allclose(
        telling_loss(jnp.asarray(s), jnp.asarray(t), kind="ls"), squares, rtol=1e-12
    )
    value, slope = jax.value_and_grad(lambda z: fooling_loss(z, kind="ce"))(
        jnp.asarray(t)
    )
    np.testing.assert_allclose(value, -np.log(sigma).mean(), rtol=1e-12)
    np.testing.assert_allclose(slope, -(1 - sigma) / t.size, rtol=1e-12)
    least = fooling_loss(jnp.asarray(t), kind="ls")
    np.testing.assert_allclose(least, ((t - 1) ** 2).mean(), rtol=1e-12)


def test_a_blind_discriminator_loses_log_two_and_domains_mirror(x64, rng):
    zeros = jnp.zeros((2, 4))
    np.testing.assert_allclose(
        telling_loss(zeros, zeros, kind="ce"), np.log(2), rtol=1e-12
    )
    s, t = jnp.asarray(rng.normal(size=(2, 4))), jnp.asarray(rng.normal(size=(2, 3)))
    np.testing.assert_allclose(
        telling_loss(s, t, kind="ce"), telling_loss(-t, -s, kind="ce"), rtol=1e-12
    )

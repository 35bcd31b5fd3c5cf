import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp

from tests.training.cases import squares
from tests.transport import reference
from trfjax.state import Output
from trfjax.transfer.guide import (
    IMAGES,
    PIXELS,
    Guide,
    alignment_loss,
    default_guide,
    read_features,
)
from trfjax.transport.problem import Settings

TIGHT = Settings(tolerance=1e-12, joint_tolerance=1e-12, max_iterations=20_000)
CLASSES: dict[str, Any] = {"num_source_classes": 4, "num_classes": 3}
BOTH = Guide(epsilon=1.0, domain_weight=0.3)
GUIDES = {
    "plain": BOTH,
    "normalised": dataclasses.replace(BOTH, normalise=True, epsilon=0.1),
    "relative": dataclasses.replace(BOTH, relative_epsilon=True, epsilon=0.1),
    "class means": dataclasses.replace(BOTH, gamma=0.4),
}


def clouds(seed=0, n=30, m=12, dtype=jnp.float64):
    x, ys, y, yt = reference.labelled_clouds(seed, n, m, spread=0.6)
    return (
        jnp.asarray(x, dtype),
        jnp.asarray(ys),
        jnp.asarray(y, dtype),
        jnp.asarray(yt),
    )


def by_hand(x, ys, y, yt, guide, a, b):
    """W_T and W_D from the definition, with loops."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    ys, yt = np.asarray(ys), np.asarray(yt)
    if guide.normalise:
        x, y = (z / np.linalg.norm(z, axis=1)[:, None] for z in (x, y))
    distance = np.array([[((p - q) ** 2).sum() for q in y] for p in x])
    cost = distance.copy()
    if guide.gamma < 1:
        for i, s in enumerate(ys):
            for j, t in enumerate(yt):
                left = np.average(x[ys == s], axis=0, weights=a[ys == s])
                right = np.average(y[yt == t], axis=0, weights=b[yt == t])
                apart = ((left - right) ** 2).sum()
                cost[i, j] = guide.gamma * distance[i, j] + (1 - guide.gamma) * apart
    epsilon = guide.epsilon
    if guide.relative_epsilon:
        epsilon *= a @ distance @ b
    f, g = np.zeros(len(x)), np.zeros(len(y))
    for _ in range(20_000):
        f = epsilon * (np.log(a) - logsumexp((g - cost) / epsilon, axis=1))
        g = epsilon * (np.log(b) - logsumexp((f[:, None] - cost) / epsilon, axis=0))
    plan = np.exp((f[:, None] + g - cost) / epsilon)
    joint = reference.label_joint(plan, ys, yt, 4, 3)
    return reference.conditional_entropy(joint), (plan * distance).sum()


@pytest.mark.parametrize("name", GUIDES)
def test_both_differences_equal_the_definition(x64, rng, name):
    guide, given = GUIDES[name], clouds()
    a, b = rng.random(30) + 0.5, rng.random(12) + 0.5
    loss, parts = alignment_loss(
        *given,
        **CLASSES,
        guide=guide,
        source_weights=jnp.asarray(7 * a),  # only their proportions count
        target_weights=jnp.asarray(b),
        settings=TIGHT,
    )
    task, domain = by_hand(*given, guide, a / a.sum(), b / b.sum())
    np.testing.assert_allclose(parts.task_difference, task, rtol=1e-8)
    np.testing.assert_allclose(parts.domain_difference, domain, rtol=1e-8)
    np.testing.assert_allclose(loss, task + 0.3 * domain, rtol=1e-8)
    assert parts.converged and parts.marginal_error < 1e-11


@pytest.mark.parametrize("name", ["plain", "normalised", "relative"])
def test_the_derivative_equals_finite_differences(x64, rng, name):
    x, ys, y, yt = clouds()

    def loss(x, y):
        found = alignment_loss(
            x, ys, y, yt, **CLASSES, guide=GUIDES[name], settings=TIGHT
        )
        return found[0]

    slope = jax.jit(jax.grad(loss, argnums=(0, 1)))(x, y)
    loss = jax.jit(loss)
    for _ in range(3):
        dx, dy = (jnp.asarray(rng.normal(size=v.shape)) for v in (x, y))
        h = 1e-5
        expected = (loss(x + h * dx, y + h * dy) - loss(x - h * dx, y - h * dy)) / 2 / h
        found = jnp.sum(slope[0] * dx) + jnp.sum(slope[1] * dy)
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_class_distances_are_held_constant_in_the_derivative(x64):
    x, ys, y, yt = clouds()
    guide = dataclasses.replace(BOTH, gamma=1e-6, domain_weight=0.0)

    def loss(x):
        found = alignment_loss(x, ys, y, yt, **CLASSES, guide=guide, settings=TIGHT)
        return found[0]

    assert jnp.abs(jax.grad(loss)(x)).max() < 1e-6


def test_relative_epsilon_does_not_know_the_unit(x64):
    x, ys, y, yt = clouds()
    guide = Guide(epsilon=0.1, relative_epsilon=True)

    def task(scale):
        found = alignment_loss(
            scale * x, ys, scale * y, yt, **CLASSES, guide=guide, settings=TIGHT
        )
        return found[0]

    np.testing.assert_allclose(task(9.0), task(1.0), rtol=1e-9)
    assert abs(jax.grad(task)(1.0)) < 1e-9


def test_values_that_are_known():
    x, ys, y, yt = clouds(dtype=jnp.float32)

    def task(ys, yt, x=x, y=y, epsilon=0.5, classes=CLASSES):
        guide = Guide(epsilon=epsilon)
        return alignment_loss(x, ys, y, yt, **classes, guide=guide)[1].task_difference

    share = np.bincount(np.asarray(yt)) / len(yt)
    entropy = -(share * np.log(share)).sum()
    assert abs(task(ys, 0 * yt)) < 1e-5  # one target class
    np.testing.assert_allclose(task(0 * ys, yt), entropy, rtol=1e-3)  # one source class
    np.testing.assert_allclose(task(ys, yt, epsilon=1e4), entropy, rtol=1e-3)
    points = 10 * jnp.eye(3)
    crossed = task(jnp.array([2, 0, 1]), jnp.arange(3), points, points)
    assert abs(crossed) < 1e-5  # a relabelling costs nothing


def test_instances_of_weight_zero_count_for_nothing():
    x, ys, y, yt = clouds(dtype=jnp.float32)
    guide = Guide(epsilon=0.5, domain_weight=1.0)
    plain, _ = alignment_loss(x, ys, y, yt, **CLASSES, guide=guide)
    more, _ = alignment_loss(
        jnp.concatenate([x, x[:5] + 3]),
        jnp.concatenate([ys, jnp.full(5, 255)]),
        jnp.concatenate([y, y[:4] - 2]),
        jnp.concatenate([yt, jnp.full(4, 255)]),
        **CLASSES,
        guide=guide,
        source_weights=jnp.r_[jnp.ones(30), jnp.zeros(5)],
        target_weights=jnp.r_[jnp.ones(12), jnp.zeros(4)],
    )
    np.testing.assert_allclose(more, plain, rtol=2e-4)


def test_jit_and_vmap_agree_with_the_plain_call():
    given = [clouds(seed, dtype=jnp.float32) for seed in range(3)]

    @jax.jit
    def slope(x, ys, y, yt):
        def loss(x, y):
            return alignment_loss(x, ys, y, yt, **CLASSES, guide=BOTH)

        return jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(x, y)

    (loss, parts), together = jax.vmap(slope)(
        *(jnp.stack(part) for part in zip(*given, strict=True))
    )
    for i, one in enumerate(given):
        (value, _), alone = slope(*one)
        np.testing.assert_allclose(loss[i], value, rtol=1e-3)
        for many, few in zip(together, alone, strict=True):
            np.testing.assert_allclose(many[i], few, atol=2e-3 * np.abs(few).max())
    assert parts.converged.all()


def test_normalised_zeros_have_a_finite_derivative():
    x, ys, y, yt = clouds(dtype=jnp.float32)

    def loss(x):
        guide = Guide(normalise=True)
        return alignment_loss(x, ys, y, yt, **CLASSES, guide=guide)[0]

    assert jnp.isfinite(jax.grad(loss)(x.at[3].set(0))).all()


def test_features_are_read_by_name():
    logits, features = jnp.array([[0.0, np.log(3)]]), jnp.ones((1, 5))
    output = Output(logits, logits, features)
    assert read_features(output, "penultimate") is features
    assert read_features(output, "logits") is logits
    np.testing.assert_allclose(read_features(output, "probs"), [[0.25, 0.75]], 1e-6)


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0}, {"source_batch": 0}, {"epsilon": 0.0}, {"learning_rate": -1.0},
        {"weight": -1.0}, {"source_weight": float("nan")}, {"gamma": 0.0},
        {"features": "pixels"}, {"batch_norm": "on"},
    ],
)  # fmt: skip
def test_settings_out_of_range(wrong):
    with pytest.raises((ValueError, TypeError), match=next(iter(wrong))):
        Guide(**wrong)


def test_the_default_guide_suits_the_labels():
    maps = squares()
    one_label = maps.map(lambda x, y: (x, np.asarray(y[0, 0])), tag="one")
    assert default_guide(maps) is PIXELS and default_guide(one_label) is IMAGES

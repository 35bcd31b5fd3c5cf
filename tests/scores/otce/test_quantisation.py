"""The correction of atoms by pixels that are coupled both ways."""

import numpy as np
import pytest
from scipy.stats import t as student

from tests.transport.reference import (
    conditional_entropy,
    entropic_plan,
    label_joint,
)
from trfjax.atoms.compress import compress
from trfjax.scores.otce.quantisation import (
    LEVEL,
    corrected,
    draws_of,
    entropy_of,
    solved,
)
from trfjax.transport.problem import Settings


def noisy(n, seed, d=8, classes=4):
    """Probabilities of noisy logits: every direction is as wide as any other."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=n)
    middle = np.random.default_rng(9).normal(size=(classes, d)) * 1.5
    logits = middle[labels] + 2 * rng.normal(size=(n, d))
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return probs.astype(np.float32), labels


def test_noise_that_atoms_cannot_hold_is_corrected():
    """Against the exact plan of the same pixels, in float64."""
    (x, ys), (y, yt) = noisy(1200, 1), noisy(1100, 2)
    a, b = (np.full(len(z), 1 / len(z)) for z in (x, y))
    plan, cost = entropic_plan(x, y, a, b, 0.1)
    joint = label_joint(plan, ys, yt, 4, 4)
    task = conditional_entropy(joint)
    sets = compress(x, ys, atoms=48), compress(y, yt, atoms=48)
    found, correction = solved(*sets, 0.1, Settings())
    of_atoms = np.asarray(found.joint, np.float64)
    plain = abs(entropy_of(of_atoms) - task)
    error = abs(entropy_of(of_atoms / of_atoms.sum() + correction.joint) - task)
    assert error < correction.effect and error < plain / 3
    # So few pixels are coupled a little nearer than all of them.
    away = float(found.cost) - (plan * cost).sum()
    assert abs(away + correction.cost) < abs(away) / 3


def test_a_correction_leaves_the_marginals_as_they_are():
    source, target = (compress(*noisy(900, seed), atoms=32) for seed in (3, 4))
    _, correction = solved(source, target, 0.1, Settings(tolerance=1e-6))
    for axis in (0, 1):  # both couplings of a draw have those of its pixels
        np.testing.assert_allclose(correction.joint.sum(axis=axis), 0, atol=1e-5)


def test_the_error_is_that_of_leaving_out_one_draw_at_a_time():
    rng = np.random.default_rng(0)
    joint = rng.dirichlet(np.ones(6)).reshape(2, 3)
    parts = rng.normal(size=(5, 2, 3)) * 1e-3
    parts -= parts.mean(axis=2, keepdims=True)
    found = corrected(joint, parts, np.arange(5.0))

    def value(rows):
        return conditional_entropy(joint + parts[rows].mean(axis=0))

    everyone = np.arange(5)
    left_out = np.array([value(everyone != k) for k in everyone])
    error = np.sqrt(4 / 5 * ((left_out - left_out.mean()) ** 2).sum())
    bias = 4 * (left_out.mean() - value(everyone))
    assert found.standard_error == pytest.approx(error, rel=1e-9)
    reach = student.ppf(LEVEL, 4) * error + abs(bias)
    assert found.effect == pytest.approx(reach, rel=1e-9)
    assert found.cost == 2 and found.draws == 5
    np.testing.assert_allclose(found.joint, parts.mean(axis=0))


def test_too_few_draws_say_nothing():
    found = corrected(np.full((2, 2), 0.25), np.ones((3, 2, 2)), np.ones(3))
    assert found.effect == np.inf and not found.joint.any()


def test_draws_fit_the_samples():
    wide = compress(*noisy(9000, 5), atoms=64)
    small = compress(*noisy(403, 6), atoms=64)
    assert draws_of(wide, wide) == [(16, 512, 512), (4, 2048, 2048)]
    assert draws_of(wide, small) == [(4, 100, 512)]
    many = compress(*noisy(1200, 7), atoms=700)
    assert draws_of(many, many) == [(4, 300, 704)]


def test_entropy_by_hand():
    # Given the first label the second is certain, given the other it is a coin.
    joint = np.array([[0.5, 0.0], [0.25, 0.25]])
    assert entropy_of(joint) == pytest.approx(0.5 * np.log(2))
    assert entropy_of(joint - [[0, 1e-9], [0, 0]]) == pytest.approx(0.5 * np.log(2))

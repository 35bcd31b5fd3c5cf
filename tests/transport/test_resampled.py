"""Many weightings of two clouds, each against its own plan in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.transport import reference
from trfjax.transport import resampled
from trfjax.transport.problem import Settings
from trfjax.transport.resampled import couple_resampled

EPSILON = 0.3
TIGHT = Settings(tolerance=1e-9, joint_tolerance=1e-9)
IMAGES, N, M = 4, 40, 30
ROWS = np.array([[1, 1, 1, 1], [2, 0, 1, 1], [0, 3, 0, 1], [4, 0, 0, 0]], float)


def clouds(seed=0):
    x, ys, y, yt = reference.labelled_clouds(seed, N, M, d=3, spread=0.5)
    return x.astype(float), np.eye(4)[ys], y.astype(float), np.eye(3)[yt]


def weighted(labels, rows):
    """Label masses of points whose image counts so often; each weighting sums to 1."""
    counts = rows[:, np.arange(len(labels)) % IMAGES]
    return counts[:, :, None] * labels / counts.sum(axis=1)[:, None, None]


def joint_by_hand(x, s, y, t, epsilon=EPSILON):
    """Solve for the points that have mass, and read the joint through their shares."""
    a, b = s.sum(axis=1), t.sum(axis=1)
    left, right = a > 0, b > 0
    plan, _ = reference.entropic_plan(
        x[left], y[right], a[left], b[right], epsilon, tolerance=1e-11
    )
    return (s[left] / a[left, None]).T @ plan @ (t[right] / b[right, None])


def coupled(x, s, y, t, *, epsilon=EPSILON, settings=TIGHT):
    parts = (jnp.asarray(part) for part in (x, y, s, t))
    return couple_resampled(*parts, epsilon=epsilon, settings=settings)


def test_every_weighting_has_its_own_plan(x64):
    x, s, y, t = clouds()
    s, t = weighted(s, ROWS), weighted(t, ROWS[::-1])
    found = coupled(x, s, y, t)
    assert found.converged.all() and (found.marginal_error <= 1e-9).all()
    for k in range(len(ROWS)):
        expected = joint_by_hand(x, s[k], y, t[k])
        np.testing.assert_allclose(found.joint[k], expected, atol=1e-9)


def test_one_side_may_be_the_same_for_all(x64):
    x, s, y, t = clouds(1)
    fixed, t = s[None] / N, weighted(t, ROWS)
    found = coupled(x, fixed, y, t)
    whole = coupled(x, np.repeat(fixed, len(ROWS), axis=0), y, t)
    np.testing.assert_allclose(found.joint, whole.joint, atol=1e-12)
    expected = joint_by_hand(x, fixed[0], y, t[2])
    np.testing.assert_allclose(found.joint[2], expected, atol=1e-9)
    turned = coupled(y, t, x, fixed)
    np.testing.assert_allclose(turned.joint, found.joint.transpose(0, 2, 1), atol=1e-8)


def test_marginals_are_those_of_the_labels(x64):
    x, s, y, t = clouds(2)
    s, t = weighted(s, ROWS), weighted(t, ROWS)
    joint = np.asarray(coupled(x, s, y, t).joint)
    np.testing.assert_allclose(joint.sum(axis=2), s.sum(axis=1), atol=1e-9)
    np.testing.assert_allclose(joint.sum(axis=1), t.sum(axis=1), atol=1e-9)
    assert (joint >= 0).all()


def test_histograms_of_labels(x64, rng):
    """Atoms: points that hold several labels at once."""
    x, _, y, _ = clouds(3)
    s, t = rng.dirichlet(np.ones(N * 4), 3), rng.dirichlet(np.ones(M * 3), 3)
    s, t = s.reshape(3, N, 4), t.reshape(3, M, 3)
    found = coupled(x, s, y, t)
    for k in range(3):
        expected = joint_by_hand(x, s[k], y, t[k])
        np.testing.assert_allclose(found.joint[k], expected, atol=1e-9)


@pytest.fixture
def without_shared_steps(monkeypatch):
    """The shared kernel is given up at once, as where it does not converge."""
    monkeypatch.setattr(resampled, "MAX_STEPS", 0)
    jax.clear_caches()  # the constant is in compiled programs
    yield
    jax.clear_caches()


def test_what_the_shared_kernel_cannot_reach_is_solved_by_itself(
    without_shared_steps, x64
):
    x, s, y, t = clouds(0)
    fixed, t = s[None] / N, weighted(t, ROWS)
    found = coupled(x, fixed, y, t)
    assert found.converged.all()
    for k in range(len(ROWS)):
        expected = joint_by_hand(x, fixed[0], y, t[k])
        np.testing.assert_allclose(found.joint[k], expected, atol=1e-8)


def test_what_cannot_be_solved_at_all_is_told(without_shared_steps, x64):
    x, s, y, t = clouds(0)
    few = Settings(tolerance=1e-12, joint_tolerance=1e-12, max_iterations=1)
    found = coupled(x, s[None] / N, y, weighted(t, ROWS), epsilon=0.01, settings=few)
    assert not found.converged.any() and np.isfinite(found.joint).all()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (1.0, 1.0, 1.0),
        (2.0, 3.0, 2 * 1.5**resampled.RELAX),  # beyond the new scaling
        (4.0, 1.0, 4 * 0.25**resampled.RELAX),
        (0.0, 5.0, 5.0),  # an image that was left out comes back
        (5.0, 0.0, 0.0),  # and one that is left out stays so
        (0.0, 0.0, 0.0),
    ],
)
def test_a_relaxed_step(old, new, expected):
    found = resampled._relaxed(jnp.array([old]), jnp.array([new]))
    np.testing.assert_allclose(found, [expected], rtol=1e-6)
    slope = jax.grad(lambda o: resampled._relaxed(o, jnp.array([new]))[0])
    assert np.isfinite(slope(jnp.array([old]))).all()


def test_shares_of_a_point_without_mass():
    labels = jnp.array([[[1.0, 3.0], [0.0, 0.0]]])
    np.testing.assert_allclose(resampled._shares(labels), [[[0.25, 0.75], [0, 0]]])

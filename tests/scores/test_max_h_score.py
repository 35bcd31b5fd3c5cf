import numpy as np
import pytest

from trfjax.scores.max_h_score import max_h_score, max_h_score_of_joint


def alternate(joint, k, steps=2000):
    """Alternating conditional expectations, centred and whitened in every step."""
    joint = joint / joint.sum()
    px, py = joint.sum(axis=1), joint.sum(axis=0)

    def whiten(rows, share):
        rows = rows - share @ rows
        inverse = np.linalg.inv(np.linalg.cholesky((rows * share[:, None]).T @ rows))
        return rows @ inverse.T

    g, f = 0, whiten(np.random.default_rng(0).normal(size=(len(px), k)), px)
    for _ in range(steps):
        g = whiten((joint.T @ f) / py[:, None], py)
        f = whiten((joint @ g) / px[:, None], px)
    return np.sum((f.T @ joint @ g) ** 2)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_equals_alternating_expectations(k, x64, rng):
    joint = rng.uniform(size=(6, 4)) + 3 * np.eye(6, 4)
    got = max_h_score_of_joint(joint, features=k)
    np.testing.assert_allclose(got, alternate(joint, k), rtol=1e-8)


def test_of_ids(x64, rng):
    y = rng.integers(3, size=200)
    x = np.where(rng.uniform(size=200) < 0.6, y, rng.integers(5, size=200))
    joint = np.zeros((5, 3))
    np.add.at(joint, (x, y), 1)
    expected = np.outer(joint.sum(axis=1), joint.sum(axis=0)) / 200
    chi = np.sum((joint - expected) ** 2 / expected) / 200
    np.testing.assert_allclose(max_h_score(x, y), chi, rtol=1e-10)
    np.testing.assert_allclose(max_h_score(7 * x - 3, y + 10), chi, rtol=1e-10)
    np.testing.assert_allclose(max_h_score(x, y, num_inputs=9, num_classes=5), chi)
    maps = x.reshape(2, 10, 10), y.reshape(2, 10, 10)
    np.testing.assert_allclose(max_h_score(*maps), chi, rtol=1e-10)
    np.testing.assert_allclose(max_h_score(x, y, features=9), chi, rtol=1e-8)


def test_limits(x64, rng):
    y = rng.integers(4, size=100)
    np.testing.assert_allclose(max_h_score(y, y), 3, rtol=1e-12)
    np.testing.assert_allclose(max_h_score(y, y, features=1), 1, rtol=1e-12)
    np.testing.assert_allclose(max_h_score(0 * y, y), 0, atol=1e-12)
    np.testing.assert_allclose(max_h_score(y, 0 * y), 0, atol=1e-12)


def test_errors():
    with pytest.raises(ValueError, match=r"inputs: shape \(3,\) differs"):
        max_h_score([0, 1, 2], [0, 1])
    with pytest.raises(ValueError, match="features: 0 is less than 1"):
        max_h_score([0, 1], [0, 1], features=0)

import jax
import numpy as np
import pytest

from trfjax.atoms.moments import joined, moments_of
from trfjax.scores.nuclear_norm import nuclear_norm, nuclear_norm_of_moments


def test_equals_the_definition(x64, rng):
    for n, c in ((40, 5), (3, 5)):
        probs = rng.dirichlet(np.ones(c), size=n)
        expected = np.linalg.norm(probs, "nuc") / np.sqrt(n * min(n, c))
        np.testing.assert_allclose(nuclear_norm(probs), expected, rtol=1e-10)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[1, 0], [1, 0], [0, 1], [0, 1]], 1.0),  # sure, and of both classes
        ([[1, 0]] * 4, 0.5**0.5),  # sure of one class
        ([[0.5, 0.5]] * 4, 0.5),  # not sure
    ],
)
def test_by_hand(rows, expected):
    np.testing.assert_allclose(nuclear_norm(np.array(rows, float)), expected, rtol=1e-6)


def test_weights_and_moments(x64, rng):
    probs = rng.dirichlet(np.ones(3), size=12)
    image = np.repeat([0, 1, 2], 4)
    counts = np.array([2.0, 0, 1])
    again = np.repeat(probs, counts[image].astype(int), axis=0)
    expected = float(nuclear_norm(again))
    np.testing.assert_allclose(nuclear_norm(probs, weights=counts[image]), expected)
    parts = [moments_of(probs[image == i], 0 * image[image == i], 1) for i in range(3)]
    got = nuclear_norm_of_moments(joined(parts), np.stack([counts, 0 * counts]))
    np.testing.assert_allclose(got, [expected, np.nan], rtol=1e-9)


def test_gradient_is_finite():
    probs = np.array([[1.0, 0, 0], [0, 1, 0], [0.5, 0.5, 0]])  # a class without mass
    assert np.isfinite(jax.grad(nuclear_norm)(probs)).all()


def test_probabilities_only(rng):
    with pytest.raises(ValueError, match="not a probability distribution"):
        nuclear_norm(rng.normal(size=(4, 3)))

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


few = settings(max_examples=15, deadline=None, derandomize=True, database=None)


@few
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.1, 1.0, 10.0]))
def test_laws(seed, sharpness):
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.full(4, sharpness), size=24)
    with jax.enable_x64(True):
        found = float(nuclear_norm(probs))
        # |P|_F <= |P|_* <= sqrt(min(n, C)) |P|_F.
        length = np.linalg.norm(probs) / np.sqrt(24 * 4)
        assert length - 1e-12 <= found <= min(2 * length, 1) + 1e-12
        rows, columns = rng.permutation(24), rng.permutation(4)
        moved = float(nuclear_norm(probs[rows][:, columns]))
        assert moved == pytest.approx(found, rel=1e-9)
        # A norm is convex: a mixture is below the mean of both.
        other = rng.dirichlet(np.ones(4), size=24)
        mixed = float(nuclear_norm((probs + other) / 2))
        assert mixed <= (found + float(nuclear_norm(other))) / 2 + 1e-12
        twice = float(nuclear_norm(np.tile(probs, (2, 1))))
        assert twice == pytest.approx(found, rel=1e-9)

import jax
import numpy as np
import pytest
from jax.test_util import check_grads

from trfjax.scores.neighbourhood_density import neighbourhood_density


def density_by_hand(rows, temperature):
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    found = []
    for i, row in enumerate(unit):
        powers = np.exp(np.delete(unit, i, axis=0) @ row / temperature)
        p = powers / powers.sum()
        found.append(-np.sum(p * np.log(p)))
    return np.mean(found)


def test_equals_the_definition(x64, rng):
    rows = rng.normal(size=(40, 3))
    for temperature in (0.05, 0.5):
        got = neighbourhood_density(rows, temperature=temperature)
        np.testing.assert_allclose(got, density_by_hand(rows, temperature), rtol=1e-9)


def test_equal_rows_by_hand():
    np.testing.assert_allclose(
        neighbourhood_density(np.ones((3, 2))), np.log(2), rtol=1e-5
    )
    assert np.isnan(neighbourhood_density(np.ones((1, 2))))


def test_weights_are_multiplicities(x64, rng):
    rows, counts = rng.normal(size=(20, 3)), rng.integers(0, 3, size=20)
    np.testing.assert_allclose(
        neighbourhood_density(rows, weights=counts),
        neighbourhood_density(np.repeat(rows, counts, axis=0)),
        rtol=1e-10,
    )


def test_gradient(x64, rng):
    rows = rng.normal(size=(6, 3))
    check_grads(
        lambda x: neighbourhood_density(x, temperature=0.5),
        (rows,),
        order=1,
        modes=["rev"],
    )
    rows[0] = 0  # a row without direction
    assert np.isfinite(jax.grad(neighbourhood_density)(rows)).all()


def test_errors():
    with pytest.raises(ValueError, match=r"temperature: 0\.0 is not positive"):
        neighbourhood_density(np.ones((3, 2)), temperature=0.0)

import jax
import numpy as np
import pytest
from jax.test_util import check_grads

from trfjax.scores.energy import energy


def test_by_hand(x64):
    rows = np.log([[1.0, 1.0], [2.0, 2.0], [4.0, 4.0], [8.0, 8.0]])
    values = np.log([2.0, 4.0, 8.0, 16.0])
    np.testing.assert_allclose(energy(rows), values.mean(), rtol=1e-12)
    np.testing.assert_allclose(energy(rows, fraction=0.5), values[:2].mean())
    # A fraction of less than one instance is one; published code has an empty mean.
    np.testing.assert_allclose(energy(rows, fraction=0.005), values[0])
    # Part of an instance counts in part.
    np.testing.assert_allclose(
        energy(rows, fraction=0.375), (values[0] + values[1] / 2) / 1.5
    )
    np.testing.assert_allclose(
        energy(rows, temperature=2.0),
        np.mean(
            np.log(rows * 0 + 1).sum()
            + [2 * np.log(np.exp(row / 2).sum()) for row in rows]
        ),
    )


def test_weights_are_multiplicities(x64, rng):
    rows = rng.normal(size=(10, 3))
    counts = rng.integers(0, 3, size=10)
    for fraction in (1.0, 0.4):
        np.testing.assert_allclose(
            energy(rows, weights=counts, fraction=fraction),
            energy(np.repeat(rows, counts, axis=0), fraction=fraction),
            rtol=1e-12,
        )


def test_ignored_rows_count_for_nothing(rng):
    rows = rng.normal(size=(6, 3))
    spoilt = rows.copy()
    spoilt[2] = np.nan
    labels = np.array([0, 1, 255, 1, 0, 0])
    np.testing.assert_allclose(
        energy(spoilt, labels), energy(np.delete(rows, 2, axis=0)), rtol=1e-6
    )


def test_large_logits_stay_finite():
    np.testing.assert_allclose(energy(np.full((2, 3), 1e4)), 1e4 + np.log(3), rtol=1e-6)


def test_gradient(x64, rng):
    rows = rng.normal(size=(8, 3))
    for fraction in (1.0, 0.5):
        check_grads(
            lambda x, f=fraction: energy(x, fraction=f), (rows,), order=1, modes=["rev"]
        )
    assert np.isfinite(jax.grad(energy)(rows)).all()


def test_errors(rng):
    rows = rng.normal(size=(6, 3))
    with pytest.raises(ValueError, match=r"fraction: 0\.0 is not positive"):
        energy(rows, fraction=0.0)
    with pytest.raises(ValueError, match=r"temperature: -1\.0 is not positive"):
        energy(rows, temperature=-1.0)

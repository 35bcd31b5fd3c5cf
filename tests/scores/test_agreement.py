import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trfjax.scores.agreement import agreement
from trfjax.scores.ensemble_agreement import ensemble_agreement


def test_by_hand():
    given = np.array([0, 1, 1, 2])
    changed = np.array([[0, 1, 1, 2], [0, 0, 1, 1]])
    np.testing.assert_allclose(agreement(given, changed), (1 + 0.5) / 2)
    # Foreground of the second: places 1, 2, 3, of which one is kept.
    got = agreement(given, changed, background=0)
    np.testing.assert_allclose(got, (1 + 1 / 3) / 2, rtol=1e-6)
    assert agreement(given, given[None]) == 1


def test_places_that_left_the_image_do_not_count():
    given, changed = np.array([0, 1, 1, 2]), np.array([[-1, 1, 0, -1]])
    np.testing.assert_allclose(agreement(given, changed), 0.5)
    np.testing.assert_allclose(agreement(given, changed, weights=[9, 3, 1, 9]), 0.75)
    assert np.isnan(agreement(given, -np.ones((1, 4), int)))


def test_maps(rng):
    given, changed = rng.integers(3, size=(2, 4, 5)), rng.integers(3, size=(3, 2, 4, 5))
    expected = np.mean([np.mean(given == one) for one in changed])
    np.testing.assert_allclose(agreement(given, changed), expected, rtol=1e-6)


def test_shapes_must_fit():
    with pytest.raises(ValueError, match=r"perturbed: shape \(4,\) does not fit"):
        agreement(np.zeros(4, int), np.zeros(4, int))


def test_ensemble_by_hand(rng):
    candidates = rng.dirichlet(np.ones(3), size=(4, 20))
    mean = candidates.mean(axis=0)
    for probs in candidates:
        expected = np.mean(probs.argmax(axis=1) == mean.argmax(axis=1))
        np.testing.assert_allclose(ensemble_agreement(probs, mean), expected, rtol=1e-6)
    assert ensemble_agreement(mean, mean) == 1
    with pytest.raises(ValueError, match=r"ensemble_probs: \(19, 3\) differs"):
        ensemble_agreement(mean, mean[1:])


few = settings(max_examples=20, deadline=None, derandomize=True, database=None)


@few
@given(st.integers(0, 2**32 - 1), st.sampled_from([None, 0, 2]))
def test_it_is_the_share_that_survives(seed, background):
    """Perturbation after perturbation, place after place."""
    rng = np.random.default_rng(seed)
    predictions = rng.integers(3, size=20)
    perturbed = rng.integers(-1, 3, size=(4, 20))
    weights = rng.integers(0, 3, size=20).astype(float)
    shares = []
    for row in perturbed:
        kept = total = 0.0
        for one, other, weight in zip(predictions, row, weights, strict=True):
            foreground = background is None or background not in (one, other)
            foreground = foreground or one != other  # one of both takes it for some
            if other >= 0 and foreground:
                total += weight
                kept += weight * (one == other)
        shares.append(kept / total if total else np.nan)
    found = agreement(predictions, perturbed, background=background, weights=weights)
    np.testing.assert_allclose(found, np.mean(shares), rtol=1e-5)
    assert np.isnan(found) or 0 <= found <= 1


ONE, MANY = np.zeros(4, int), np.zeros((2, 4), int)


@pytest.mark.parametrize(
    ("predictions", "perturbed", "settings", "error", "message"),
    [
        (ONE, np.zeros((2, 3), int), {}, ValueError, r"perturbed: shape \(2, 3\) does"),
        (ONE, np.zeros((0, 4), int), {}, ValueError, r"perturbed: .*expected \(k, 4\)"),
        (ONE + 0.5, MANY, {}, TypeError, "predictions: labels must be integers"),
        (ONE, MANY + 0.5, {}, TypeError, "perturbed: labels must be integers"),
        (["a"] * 4, MANY, {}, TypeError, "predictions: dtype <U1"),
        (
            ONE,
            MANY,
            {"weights": np.full(4, np.nan)},
            ValueError,
            "weights: 4 values are",
        ),
    ],
)
def test_ids_that_do_not_fit(predictions, perturbed, settings, error, message):
    with pytest.raises(error, match=message):
        agreement(predictions, perturbed, **settings)

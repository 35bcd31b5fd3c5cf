"""The Ledoit-Wolf intensity, and the H-score that it makes; see also test_hscore."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scores.made import made_up
from tests.scores.test_hscore import h_by_hand, intensity_by_hand, shrunk_by_hand
from trfjax.scores.hscore import h_score
from trfjax.scores.shrunk import shrinkage, shrunk_h_score

few = settings(max_examples=20, deadline=None, derandomize=True, database=None)
score = functools.partial(shrunk_h_score, ddof="consistent")


def intensity(features, weights=None):
    """Return the intensity and the level of features."""
    weights = np.ones(len(features)) if weights is None else weights
    share = weights / weights.sum()
    centred = features - share @ features
    parts = (jnp.asarray(v) for v in (centred, share, float(weights.sum())))
    return [float(part) for part in shrinkage(*parts)]


@few
@given(st.integers(0, 2**32 - 1), st.sampled_from([(30, 4), (12, 12), (8, 20)]))
def test_the_intensity_is_that_of_the_paper(seed, shape):
    """Also from the Gram matrix, where there are fewer instances than features."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=shape) * rng.exponential(size=shape[1])
    with jax.enable_x64(True):
        found, level = intensity(features)
    assert found == pytest.approx(intensity_by_hand(features), rel=1e-9)
    assert 0 <= found <= 1
    assert level == pytest.approx(features.var(axis=0).mean(), rel=1e-12)


def test_what_the_intensity_does_not_depend_on(x64, rng):
    features, _ = made_up(rng)
    alpha, level = intensity(features)
    turn = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    turned = intensity(5 * features @ turn - 3)
    assert turned[0] == pytest.approx(alpha, rel=1e-9)
    assert turned[1] == pytest.approx(25 * level, rel=1e-9)
    assert intensity(features[::-1])[0] == pytest.approx(alpha, rel=1e-12)


def test_it_falls_as_one_over_the_number_of_instances(x64, rng):
    """The same instances k times: beta has 1 / n before it, and nothing else moves."""
    features, _ = made_up(rng)
    alpha, level = intensity(features)
    assert 0 < alpha < 1
    for k in (2, 5):
        again = intensity(np.tile(features, (k, 1)))
        assert again[0] == pytest.approx(alpha / k, rel=1e-9)
        assert again[1] == pytest.approx(level, rel=1e-12)
        weighted = intensity(features, np.full(60, float(k)))
        assert weighted[0] == pytest.approx(alpha / k, rel=1e-9)


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        (np.vstack([np.eye(3), -np.eye(3)]), 1.0),  # round already
        (np.outer(np.arange(6.0), np.ones(3)), None),
        (np.zeros((6, 3)), 0.0),  # nothing to shrink
        (np.arange(6.0)[:, None], 0.0),  # one feature is never shrunk
    ],
)
def test_intensities_by_hand(features, expected, x64):
    found, _ = intensity(features)
    if expected is None:  # rank one: |S|^2 = 35^2/4, |S - mI|^2 = 2/3 of it
        fourth = np.mean((features[:, 0] - 2.5) ** 4) * 9
        spread = (fourth - (3 * 35 / 12) ** 2) / 6
        expected = spread / (2 / 3 * (3 * 35 / 12) ** 2)
    assert found == pytest.approx(expected, rel=1e-9)


def test_one_feature_is_the_h_score(x64, rng):
    features, labels = made_up(rng, 60, 1, 3)
    expected = h_by_hand(features, labels)
    assert float(score(features, labels)) == pytest.approx(expected, rel=1e-9)


def test_with_many_instances_it_is_the_h_score(x64, rng):
    features, labels = made_up(rng)
    gaps = []
    for k in (10, 40, 160):
        many = np.tile(features, (k, 1)), np.tile(labels, k)
        gaps.append(float(h_score(*many)) - float(score(*many)))
    # The intensity, and with it the gap, falls as 1 / n.
    assert gaps[0] > 3 * gaps[1] > 9 * gaps[2] > 0


@few
@given(st.integers(0, 2**32 - 1))
def test_bounds_and_names(seed):
    rng = np.random.default_rng(seed)
    features, labels = made_up(rng, 12, 20, 3)
    with jax.enable_x64(True):
        found = float(score(features, labels))
        assert 0 <= found <= 2
        names = np.array([40, -7, 3])[labels]
        assert float(score(features, names)) == pytest.approx(found, rel=1e-9)
        # Two classes that are one have less to explain.
        assert float(score(features, np.minimum(labels, 1))) <= found + 1e-12


def test_scaling_one_feature_changes_it(x64, rng):
    """The target is a sphere, so that it knows the units of the features."""
    features, labels = made_up(rng)
    found = float(score(features, labels))
    assert float(score(7 * features, labels)) == pytest.approx(found, rel=1e-9)
    assert abs(float(score(features * [7, 1, 1, 1], labels)) - found) > 1e-4


@pytest.mark.parametrize("scale", [1e-30, 1e-15, 1e15, 1e30])
def test_any_scale_of_float32(scale, rng):
    features, labels = made_up(rng)
    scaled = (scale * features).astype(np.float32)
    expected = shrunk_by_hand(features, labels, "consistent")
    assert float(score(scaled, labels)) == pytest.approx(expected, rel=1e-4)

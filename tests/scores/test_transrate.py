import inspect

import jax
import numpy as np
import pytest
from jax.test_util import check_grads

from tests.scores.made import made_up
from trfjax.scores.transrate import transrate


def rate(rows, epsilon):
    n, d = rows.shape
    return np.linalg.slogdet(np.eye(d) + rows.T @ rows / (n * epsilon))[1] / 2


def transrate_by_hand(features, labels, epsilon, uniform=False):
    centred = features - features.mean(axis=0)
    classes = np.unique(labels)
    total = rate(centred, epsilon)
    for c in classes:
        share = 1 / len(classes) if uniform else np.mean(labels == c)
        total -= share * rate(centred[labels == c], epsilon)
    return total


@pytest.mark.parametrize("class_weights", ["prior", "uniform"])
@pytest.mark.parametrize(("n", "d", "c"), [(60, 4, 3), (20, 30, 4), (50, 1, 2)])
def test_equals_the_definition(n, d, c, class_weights, x64, rng):
    features, labels = made_up(rng, n, d, c)
    expected = transrate_by_hand(features, labels, 1e-2, class_weights == "uniform")
    got = transrate(features, labels, epsilon=1e-2, class_weights=class_weights)
    np.testing.assert_allclose(got, expected, rtol=1e-10)
    with jax.enable_x64(False):
        single = transrate(features, labels, epsilon=1e-2, class_weights=class_weights)
    # 1e-4: log-determinants of a condition of 1e4 or so, in float32.
    np.testing.assert_allclose(single, expected, rtol=1e-4)


def test_two_points_by_hand(x64):
    """Rows -1 and 1 of two classes: log(1 + 1 / epsilon) / 2 less half of each."""
    got = transrate([[-1.0], [1.0]], [0, 1], epsilon=0.5)
    np.testing.assert_allclose(got, 0, atol=1e-12)  # each class is as far out as all
    got = transrate([[-1.0], [-1.0], [1.0], [1.0], [0.0]], [0, 0, 0, 0, 1], epsilon=0.5)
    expected = np.log(1 + 0.8 / 0.5) / 2 - 0.8 * np.log(1 + 1 / 0.5) / 2
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_unused_ids_change_nothing(x64, rng):
    """Published code adds the rate of no row (NaN), or divides by the wrong C."""
    features, labels = made_up(rng)
    for kind in ("prior", "uniform"):
        one = transrate(features, labels, class_weights=kind)
        many = transrate(features, labels + 2, num_classes=9, class_weights=kind)
        np.testing.assert_allclose(one, many, rtol=1e-12)


def test_scale_is_epsilon(x64, rng):
    features, labels = made_up(rng)
    one = transrate(features, labels, epsilon=1e-3)
    np.testing.assert_allclose(transrate(3 * features, labels, epsilon=9e-3), one)
    normalised = transrate(features, labels, normalise=True)
    np.testing.assert_allclose(
        transrate(5 * features, labels, normalise=True), normalised
    )
    length = np.linalg.norm(features - features.mean(axis=0))
    np.testing.assert_allclose(transrate(features / length, labels), normalised)


def test_limits(x64, rng):
    features, labels = made_up(rng)
    np.testing.assert_allclose(transrate(features, 0 * labels), 0, atol=1e-12)
    assert transrate(np.ones((60, 4)), labels) == 0


def test_gradient(x64, rng):
    features, labels = made_up(rng, 12, 3, 3)
    check_grads(
        lambda f: transrate(f, labels, num_classes=3, epsilon=0.1),
        (features,),
        order=1,
        modes=["rev"],
    )


def test_errors(rng):
    features, labels = made_up(rng)
    with pytest.raises(ValueError, match=r"epsilon: 0\.0 is not positive"):
        transrate(features, labels, epsilon=0.0)
    with pytest.raises(ValueError, match="class_weights: 'all' is neither"):
        inspect.unwrap(transrate)(features, labels, class_weights="all")

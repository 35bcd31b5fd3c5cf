"""LGC, with the derivatives of small networks as its features."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.scores.made import made_up
from tests.scores.test_lfc import cosine_by_hand
from trfjax.scores.lfc import lfc
from trfjax.scores.lgc import lgc


def network(weights, row):
    """Two logits of a hidden layer of five."""
    first = weights[:20].reshape(4, 5)
    return jnp.tanh(row @ first) @ weights[20:].reshape(5, 2)


def gradients_of(rows, rng):
    weights = jnp.asarray(rng.normal(size=30) / 2)
    jacobian = jax.vmap(jax.jacobian(network), in_axes=(None, 0))
    return weights, np.asarray(jacobian(weights, jnp.asarray(rows)))  # (n, 2, 30)


@pytest.mark.parametrize("centring", ["mean", "double"])
def test_it_is_the_alignment_of_the_tangent_kernel(centring, x64, rng):
    rows, labels = made_up(rng)
    _, slopes = gradients_of(rows, rng)
    flat = slopes.reshape(60, -1)
    found = lgc(flat, labels, centring=centring)
    assert found == pytest.approx(cosine_by_hand(flat, labels, centring), rel=1e-9)
    kernel = np.einsum("ikp,jkp->ij", slopes, slopes)  # sum over the logits
    np.testing.assert_allclose(flat @ flat.T, kernel, rtol=1e-9)


def test_a_linear_head_alone_is_lfc(x64, rng):
    """The derivative of f.w by w are the features f."""
    rows, labels = made_up(rng)
    slopes = jax.vmap(jax.grad(lambda w, f: f @ w), in_axes=(None, 0))(
        jnp.ones(4), jnp.asarray(rows)
    )
    assert lgc(slopes, labels) == pytest.approx(float(lfc(rows, labels)), rel=1e-12)


def test_a_sketch_along_random_directions_tends_to_it(x64, rng):
    """E[(J r)(J r)'] is J J' for random directions r of the weights."""
    rows, labels = made_up(rng)
    weights, slopes = gradients_of(rows, rng)
    exact = float(lgc(slopes.reshape(60, -1), labels))
    directions = jnp.asarray(rng.normal(size=(2000, 30)))

    def along(direction):
        run = lambda w: jax.vmap(network, in_axes=(None, 0))(w, jnp.asarray(rows))  # noqa: E731
        return jax.jvp(run, (weights,), (direction,))[1].sum(axis=1)

    # Of the sum of the logits, whose kernel is what the sketch is compared with.
    summed = slopes.sum(axis=1)
    wanted = float(lgc(summed, labels))
    sketch = np.asarray(jax.lax.map(along, directions)).T
    # 2000 directions: a relative error of some 1 / sqrt(2000) in the kernel.
    assert float(lgc(sketch, labels)) == pytest.approx(wanted, abs=0.03)
    assert abs(exact) <= 1


def test_what_it_shares_with_lfc(x64, rng):
    rows, labels = made_up(rng)
    counts = rng.integers(0, 3, size=60)
    ignored = np.where(np.arange(60) % 7 == 0, 255, labels)
    given: tuple[dict[str, Any], ...] = (
        {"weights": counts},
        {"num_classes": 5},
        {"ignore": (0, 255)},
    )
    for settings in given:
        found = lgc(rows, ignored, **settings)
        assert found == lfc(rows, ignored, **settings)
    maps = lgc(rows.reshape(3, 4, 5, 4), labels.reshape(3, 4, 5))
    assert maps == pytest.approx(float(lgc(rows, labels)), rel=1e-12)
    assert np.isnan(lgc(rows, 0 * labels))
    with pytest.raises(
        ValueError, match=r"labels: shape \(59,\) does not fit features"
    ):
        lgc(rows, labels[1:])

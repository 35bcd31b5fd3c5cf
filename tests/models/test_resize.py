"""Resizing and pooling against values worked by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from trfjax.models import resize
from trfjax.models.init import bilinear_kernel


def line(*values):
    """Return one row as an `(n, h, w, c)` map."""
    return jnp.asarray(values, jnp.float32)[None, None, :, None]


@pytest.mark.parametrize(
    ("values", "width", "aligned", "expected"),
    [
        ((0, 4), 3, True, (0, 2, 4)),
        ((0, 4), 4, False, (0, 1, 3, 4)),
        ((0, 3, 6), 5, True, (0, 1.5, 3, 4.5, 6)),
        ((0, 2, 4, 6), 2, False, (1, 5)),
        ((0, 2, 4, 6), 2, True, (0, 6)),
        ((5,), 3, True, (5, 5, 5)),
        ((5,), 3, False, (5, 5, 5)),
        ((1, 9), 1, True, (1,)),
        ((1, 9), 1, False, (5,)),
    ],
)
def test_bilinear(values, width, aligned, expected):
    out = resize.resize_bilinear(line(*values), (1, width), align_corners=aligned)
    np.testing.assert_allclose(out[0, 0, :, 0], expected, atol=1e-6)


def test_the_gradient_of_bilinear_returns_each_weight():
    def total(x):
        out = resize.resize_bilinear(x, (1, 4), align_corners=False)
        return jnp.sum(out[0, 0, :, 0] * jnp.array([1.0, 10, 100, 1000]))

    gradient = jax.grad(total)(line(0, 4))[0, 0, :, 0]
    # Outputs are a, 3a/4 + b/4, a/4 + 3b/4, b.
    np.testing.assert_allclose(gradient, (1 + 7.5 + 25, 2.5 + 75 + 1000))


def test_bilinear_equals_jax_in_its_own_convention(rng):
    x = jnp.asarray(rng.normal(size=(2, 5, 7, 3)), jnp.float32)
    ours = resize.resize_bilinear(x, (12, 4), align_corners=False)
    theirs = jax.image.resize(x, (2, 12, 4, 3), "bilinear", antialias=False)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize(
    ("bins", "expected"),
    [
        (1, (4.0,)),  # of 1, 2, 3, 4, 10
        (2, (2.0, 17 / 3)),  # cells share the middle
        (3, (1.5, 3.0, 7.0)),
        (6, (1.0, 1.5, 2.5, 3.5, 7.0, 10.0)),
    ],
)
def test_adaptive_pooling(bins, expected):
    x = jnp.tile(line(1, 2, 3, 4, 10), (1, 3, 1, 1))
    out = resize.adaptive_pool(x, bins)
    assert out.shape == (1, bins, bins, 1)
    if bins == 3:
        expected = (1.5, 3.0, 7.0)
    for row in out[0, :, :, 0]:
        np.testing.assert_allclose(row, expected, atol=1e-6)


def test_the_gradient_of_adaptive_pooling_shares_cells():
    gradient = jax.grad(lambda x: resize.adaptive_pool(x, 2)[0, 0].sum())(
        line(1, 2, 3, 4, 10)
    )
    third = 1 / 3
    expected = (third, third, 2 * third, third, third)
    np.testing.assert_allclose(gradient[0, 0, :, 0], expected, atol=1e-6)


def test_fixed_pooling_drops_what_is_left_over():
    x = jnp.tile(line(1, 3, 5, 7, 99), (1, 2, 1, 1))
    out = resize.average_pool(x, (2, 2))
    np.testing.assert_allclose(out[0, 0, :, 0], (2, 6))


@pytest.mark.parametrize(
    ("length", "size", "padding", "down", "up"),
    [(45, 2, 0, 22, 23), (8, 2, 0, 4, 4), (8, 3, 1, 4, 5), (7, 3, 1, 4, 4)],
)
def test_rounding_of_pooled_lengths(length, size, padding, down, up):
    x = jnp.zeros((1, length, length, 1))
    for ceil, expected in ((False, down), (True, up)):
        out = resize.max_pool(x, size, 2, padding=padding, ceil=ceil)
        assert out.shape == (1, expected, expected, 1)
        assert np.isfinite(out).all()


def test_pooling_with_indices_and_back():
    x = jnp.asarray([[1, 2, 0, 0, 9], [3, 0, 0, 5, 9], [9, 9, 9, 9, 9]], jnp.float32)
    x = x[None, :, :, None]
    values, place = resize.max_pool_indices(x)
    np.testing.assert_array_equal(values[0, :, :, 0], [[3, 5]])
    np.testing.assert_array_equal(place[0, :, :, 0], [[2, 3]])
    assert place.dtype == jnp.uint8
    back = resize.max_unpool(values, place, (3, 5))
    expected = [[0, 0, 0, 0, 0], [3, 0, 0, 5, 0], [0, 0, 0, 0, 0]]
    np.testing.assert_array_equal(back[0, :, :, 0], expected)
    values, place = resize.max_pool_indices(x, ceil=True)
    assert values.shape == (1, 2, 3, 1)
    assert resize.max_unpool(values, place, (3, 5)).shape == x.shape


def test_ties_give_their_gradient_to_the_first_place():
    x = jnp.ones((1, 2, 2, 1))
    gradient = jax.grad(lambda x: resize.max_pool_indices(x)[0].sum())(x)
    np.testing.assert_array_equal(gradient[0, :, :, 0], [[1, 0], [0, 0]])


def test_the_gradient_of_unpooling_is_the_place_it_filled():
    def total(values):
        place = jnp.full((1, 1, 1, 1), 2, jnp.uint8)
        out = resize.max_unpool(values, place, (2, 2))[0, :, :, 0]
        return jnp.sum(out * jnp.array([[1.0, 2.0], [3.0, 4.0]]))

    assert jax.grad(total)(jnp.full((1, 1, 1, 1), 7.0)).item() == 3


def test_nearest_floors():
    out = resize.resize_nearest(line(0, 1, 2), (1, 5))
    np.testing.assert_array_equal(out[0, 0, :, 0], (0, 0, 1, 1, 2))


def test_crop_and_pad():
    x = line(0, 1, 2, 3, 4)
    np.testing.assert_array_equal(resize.centre_crop(x, (1, 3))[0, 0, :, 0], (1, 2, 3))
    padded = resize.pad_to(line(5, 6), (1, 5))[0, 0, :, 0]
    np.testing.assert_array_equal(padded, (0, 5, 6, 0, 0))


def test_the_bilinear_kernel():
    kernel = bilinear_kernel(4, 2)
    assert kernel.shape == (4, 4, 2, 2)
    np.testing.assert_allclose(
        kernel[1, :, 0, 0], 0.75 * np.array([0.25, 0.75, 0.75, 0.25])
    )
    assert not kernel[:, :, 0, 1].any()
    np.testing.assert_allclose(bilinear_kernel(3, 1)[1, :, 0, 0], (0.5, 1, 0.5))

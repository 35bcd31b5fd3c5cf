"""Resizing and pooling equal PyTorch's, gradients included."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from trfjax.models import resize

torch = pytest.importorskip("torch")
F = torch.nn.functional


def both(here, there, shape=(2, 11, 13, 3), seed=0):
    """Return outputs and gradients of a random projection, here and in torch."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape).astype(np.float32)
    out, pullback = jax.vjp(here, jnp.asarray(x))
    weight = rng.normal(size=out.shape).astype(np.float32)
    (gradient,) = pullback(jnp.asarray(weight))
    t = torch.from_numpy(x.transpose(0, 3, 1, 2).copy()).requires_grad_()
    expected = there(t)
    expected.backward(torch.from_numpy(weight.transpose(0, 3, 1, 2).copy()))
    to_here = lambda a: a.detach().numpy().transpose(0, 2, 3, 1)  # noqa: E731
    np.testing.assert_allclose(out, to_here(expected), atol=1e-5)
    largest = max(1.0, float(t.grad.abs().max()))  # sums of up to 64 values
    np.testing.assert_allclose(gradient, to_here(t.grad), atol=1e-5 * largest)


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("size", [(33, 57), (11, 26), (5, 4), (1, 1), (88, 104)])
def test_bilinear(size, align_corners):
    both(
        lambda x: resize.resize_bilinear(x, size, align_corners=align_corners),
        lambda t: F.interpolate(
            t, size=size, mode="bilinear", align_corners=align_corners
        ),
    )


@pytest.mark.parametrize("align_corners", [True, False])
def test_bilinear_from_one_cell(align_corners):
    both(
        lambda x: resize.resize_bilinear(x, (5, 7), align_corners=align_corners),
        lambda t: F.interpolate(
            t, size=(5, 7), mode="bilinear", align_corners=align_corners
        ),
        (2, 1, 1, 3),
    )


@pytest.mark.parametrize("size", [(22, 39), (7, 5), (30, 20)])
def test_nearest(size):
    both(
        lambda x: resize.resize_nearest(x, size),
        lambda t: F.interpolate(t, size=size),
    )


@pytest.mark.parametrize("bins", [1, 2, 3, 6])
@pytest.mark.parametrize("shape", [(2, 11, 13, 3), (1, 4, 5, 2), (1, 64, 60, 2)])
def test_adaptive_pooling(bins, shape):
    both(
        lambda x: resize.adaptive_pool(x, bins),
        lambda t: F.adaptive_avg_pool2d(t, bins),
        shape,
    )


@pytest.mark.parametrize("bins", [1, 2, 3, 6])
def test_fixed_pooling(bins):
    window = (11 // bins, 13 // bins)
    both(
        lambda x: resize.average_pool(x, window),
        lambda t: F.avg_pool2d(t, window, window),
    )


@pytest.mark.parametrize(("k", "s", "p"), [(2, 2, 0), (3, 2, 1)])
@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("shape", [(1, 11, 12, 2), (1, 13, 16, 2), (1, 7, 7, 1)])
def test_max_pooling(k, s, p, ceil, shape):
    both(
        lambda x: resize.max_pool(x, k, s, padding=p, ceil=ceil),
        lambda t: F.max_pool2d(t, k, s, p, ceil_mode=ceil),
        shape,
    )


def test_pooling_with_indices_and_back():
    def here(x):
        values, index = resize.max_pool_indices(x)
        return resize.max_unpool(2 * values, index, x.shape[1:3])

    def there(t):
        values, index = F.max_pool2d(t, 2, 2, return_indices=True)
        return F.max_unpool2d(2 * values, index, 2, 2, output_size=t.shape[2:])

    both(here, there)


def test_places_are_torchs_flat_indices():
    x = np.random.default_rng(0).normal(size=(1, 11, 13, 3)).astype(np.float32)
    _, place = resize.max_pool_indices(jnp.asarray(x))
    k = np.asarray(place).astype(int)
    rows, columns = np.arange(5)[:, None, None], np.arange(6)[:, None]
    flat = (2 * rows + k // 2) * 13 + 2 * columns + k % 2
    t = torch.from_numpy(x.transpose(0, 3, 1, 2).copy())
    _, expected = F.max_pool2d(t, 2, 2, return_indices=True)
    np.testing.assert_array_equal(flat, expected.numpy().transpose(0, 2, 3, 1))

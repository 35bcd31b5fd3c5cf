"""The kernel in blocks, kept and streamed, against whole matrices in NumPy."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp

from trfjax.transport.kernel import (
    join_rows,
    kept_kernel,
    kept_reader,
    log_weights,
    normalised_rows,
    row_exponentials,
    scaled_products,
    scaled_reader,
    split_rows,
    streamed_log_scale,
    streamed_reader,
)

N, M, D = 23, 17, 3


def made_up(seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(N, D)), rng.normal(size=(M, D))
    return scale * x, rng.dirichlet(np.ones(N)), scale * y, rng.normal(size=M)


def arrays(*values):
    return tuple(jnp.asarray(value) for value in values)


def kernel_by_hand(x, weights, y, scale, offset):
    """Rows that sum to their weights, and the log factor that makes them so."""
    logits = scale * x @ y.T + offset
    log_scale = np.log(weights) - logsumexp(logits, axis=1)
    return np.exp(logits + log_scale[:, None]), log_scale


@pytest.mark.parametrize("block", [1, 5, 12, 70])
@pytest.mark.parametrize("n", [1, 12, 13, 47])
def test_rows_are_cut_into_equal_blocks_and_joined_again(n, block):
    rows = jnp.asarray(np.arange(2 * n).reshape(n, 2))
    parts = split_rows(rows, block, fill=-1.0)
    assert parts.shape[1] <= block and parts.shape[0] == -(-n // block)
    assert parts.shape[0] * parts.shape[1] - n < parts.shape[0]  # little padding
    padding = np.asarray(parts).reshape(-1, 2)[n:]
    assert (padding == -1).all()
    np.testing.assert_array_equal(join_rows(parts, n), rows)


def test_no_rows_are_one_empty_block():
    parts = split_rows(jnp.zeros((0, 2)), 4)
    assert parts.shape == (1, 0, 2) and join_rows(parts, 0).shape == (0, 2)


def test_log_weights_of_padding():
    np.testing.assert_allclose(
        log_weights(jnp.array([1.0, 0.0, 0.5])), [0, -np.inf, np.log(0.5)], rtol=1e-6
    )


def test_scaled_products(x64):
    x, _, y, _ = made_up()
    found = scaled_products(*arrays(x, y), jnp.asarray(2.5))
    expected = [
        [2.5 * sum(p * q for p, q in zip(a, b, strict=True)) for b in y] for a in x
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("scale", [0.1, 2.0, 500.0])
def test_rows_sum_to_their_weights(scale, x64):
    x, a, y, offset = made_up(1)
    kernel, log_scale = kernel_by_hand(x, a, y, scale, offset)
    given_ = arrays(x, a, y, np.float64(scale), offset)
    found, logs = normalised_rows(*given_)
    np.testing.assert_allclose(found, kernel, rtol=1e-9, atol=1e-300)
    np.testing.assert_allclose(logs, log_scale, rtol=1e-12)
    np.testing.assert_allclose(found.sum(axis=1), a, rtol=1e-12)
    rows, factor, same = row_exponentials(*given_)
    np.testing.assert_allclose(rows.max(axis=1), 1)
    np.testing.assert_allclose(rows * factor[:, None], found, rtol=1e-12)
    np.testing.assert_array_equal(same, logs)


def test_exponents_far_outside_the_range_of_their_type():
    """Exponents of 1e5 overflow an exponential; their differences are what counts."""
    x, a, y, offset = (part.astype(np.float32) for part in made_up(2, scale=100.0))
    found, logs = normalised_rows(*arrays(x, a, y, np.float32(10), offset))
    assert np.isfinite(found).all() and np.isfinite(logs).all()
    np.testing.assert_allclose(found.sum(axis=1), a, rtol=1e-5)
    logits = 10.0 * x.astype(float) @ y.astype(float).T + offset
    np.testing.assert_array_equal(np.argmax(found, axis=1), np.argmax(logits, axis=1))


def test_a_row_of_weight_0_is_0():
    x, a, y, offset = (part.astype(np.float32) for part in made_up(3))
    a[5] = 0
    found, logs = normalised_rows(*arrays(x, a, y, np.float32(2), offset))
    assert not found[5].any() and logs[5] == -np.inf
    rows = streamed_reader(*arrays(x, logs, y, np.float32(2), offset), block=7)
    left, _ = rows.read(jnp.ones((M, 1)), lambda t: t[:, 0])
    assert left[5] == 0 and np.isfinite(left).all()


@pytest.mark.parametrize("block", [1, 7, 23, 100])
def test_blocks_change_nothing(block, x64):
    x, a, y, offset = made_up(4)
    kernel, log_scale = kernel_by_hand(x, a, y, 2.0, offset)
    given_ = arrays(x, a, y, np.float64(2), offset)
    found, logs = kept_kernel(*given_, block=block)
    np.testing.assert_allclose(found, kernel, rtol=1e-11)
    np.testing.assert_allclose(logs, log_scale, rtol=1e-11)
    streamed = streamed_log_scale(*given_, block=block)
    np.testing.assert_allclose(streamed, log_scale, rtol=1e-11)


def readers(x, log_scale, y, offset, kernel, block):
    given_ = arrays(x, log_scale, y, np.float64(2), offset)
    return {
        "kept": kept_reader(jnp.asarray(kernel), block=block),
        "streamed": streamed_reader(*given_, block=block),
        "formed and kept": scaled_reader(*given_, kept=True, block=block),
        "formed and streamed": scaled_reader(*given_, kept=False, block=block),
    }


@pytest.mark.parametrize("block", [1, 9, 100])
def test_every_reader_reads_the_same_kernel(block, x64, rng):
    x, a, y, offset = made_up(5)
    kernel, log_scale = kernel_by_hand(x, a, y, 2.0, offset)
    right, weights = rng.normal(size=(M, 2)), rng.normal(size=N)
    for name, reader in readers(x, log_scale, y, offset, kernel, block).items():
        left, back = reader.read(
            jnp.asarray(right), lambda t, w: w * t[:, 0], jnp.asarray(weights)
        )
        np.testing.assert_allclose(left, kernel @ right, rtol=1e-9, err_msg=name)
        middle = weights * (kernel @ right)[:, 0]
        np.testing.assert_allclose(back, middle @ kernel, rtol=1e-9, err_msg=name)
        squares = reader.squares(jnp.asarray(weights))
        np.testing.assert_allclose(
            squares, weights @ kernel**2, rtol=1e-9, err_msg=name
        )


def test_reading_is_linear_in_what_is_read(x64, rng):
    x, a, y, offset = made_up(6)
    kernel, log_scale = kernel_by_hand(x, a, y, 2.0, offset)
    one, two = rng.normal(size=(2, M, 1))
    for reader in readers(x, log_scale, y, offset, kernel, 8).values():
        found = [
            reader.read(jnp.asarray(right), lambda t: t[:, 0])
            for right in (one, two, 3 * one - two)
        ]
        for part in (0, 1):
            expected = 3 * found[0][part] - found[1][part]
            np.testing.assert_allclose(found[2][part], expected, atol=1e-12)

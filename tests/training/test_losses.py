import jax
import jax.numpy as jnp
import numpy as np
import pytest

from trfjax.training.losses import cross_entropy, fit_labels


def by_hand(logits, labels, importance, ignore=255):
    above = below = 0.0
    for row, label, weight in zip(logits, labels, importance, strict=True):
        if label != ignore:
            p = np.exp(row - row.max())
            above -= weight * np.log(p[label] / p.sum())
            below += weight
    return above / below


def case(rng, shape=(2, 3, 4), k=5):
    logits = rng.normal(size=(*shape, k))
    labels = rng.integers(0, k, shape).astype(np.int32)
    labels.flat[0] = 255
    return logits, labels


@pytest.mark.parametrize("shape", [(2, 3, 4), (6,)])
def test_equals_the_definition(shape, rng, x64):
    logits, labels = case(rng, shape)
    of_class = rng.uniform(0.5, 2, 5)
    of_pixel = rng.uniform(0, 2, shape)
    flat = logits.reshape(-1, 5), labels.reshape(-1)
    plain = by_hand(*flat, np.ones(labels.size))
    np.testing.assert_allclose(cross_entropy(logits, labels), plain, rtol=1e-12)
    importance = np.append(of_class, 0)[np.minimum(flat[1], 5)] * of_pixel.reshape(-1)
    weighted = cross_entropy(
        logits, labels, class_weights=jnp.asarray(of_class), weights=of_pixel
    )
    np.testing.assert_allclose(weighted, by_hand(*flat, importance), rtol=1e-12)


def test_the_size_of_the_weights_does_not_matter(rng):
    logits, labels = case(rng)
    weights = rng.uniform(0.1, 1, labels.shape)
    losses = [cross_entropy(logits, labels, weights=weights * f) for f in (1, 1000.0)]
    np.testing.assert_allclose(*losses, rtol=1e-6)


def test_nothing_valid_is_zero_with_a_zero_gradient(rng):
    logits, labels = case(rng)
    logits, labels = jnp.asarray(logits, jnp.float32), np.full_like(labels, 255)
    value, gradient = jax.value_and_grad(cross_entropy)(logits, labels)
    assert value == 0
    assert not np.asarray(gradient).any()


def test_another_ignore_value_and_what_it_hides(rng):
    logits, labels = case(rng)
    expected = cross_entropy(logits, labels)
    labels[labels == 255] = -1
    logits[0, 0, 0] = 1e30  # under the ignored label
    got = jax.jit(cross_entropy)(logits, labels, ignore=-1)
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_labels_are_cropped_in_the_centre():
    labels = jnp.arange(64).reshape(1, 8, 8)
    np.testing.assert_array_equal(
        fit_labels(labels, jnp.zeros((1, 4, 6, 3))), labels[:, 2:6, 1:7]
    )
    assert fit_labels(jnp.zeros(3, int), jnp.zeros((3, 5))).shape == (3,)
    with pytest.raises(ValueError, match=r"does not fit logits of shape \(1, 9, 8, 3"):
        fit_labels(labels, jnp.zeros((1, 9, 8, 3)))
    with pytest.raises(ValueError, match="does not fit"):
        fit_labels(labels, jnp.zeros((1, 3)))

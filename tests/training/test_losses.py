import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trfjax.training.losses import cross_entropy, dice_loss, fit_labels


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


def dice_loss_by_hand(logits, labels, ignore, background=False):
    """The definition in loops, float64."""
    logits, labels = np.asarray(logits, np.float64), np.asarray(labels)
    k = logits.shape[-1]
    rows = [(z, y) for z, y in zip(logits.reshape(-1, k), labels.ravel(), strict=True)
            if y != ignore]  # fmt: skip
    losses = []
    for c in range(0 if background else 1, k):
        both = below = size = 0.0
        for z, y in rows:
            p = np.exp(z[c] - z.max()) / np.exp(z - z.max()).sum()
            both, below, size = both + p * (y == c), below + p**2, size + (y == c)
        if size:
            losses.append(1 - 2 * both / (below + size))
    return np.mean(losses) if losses else 0.0


@pytest.mark.parametrize("background", [False, True])
def test_dice_loss_equals_its_definition(background, x64, rng):
    logits = rng.normal(size=(2, 4, 5, 4))
    labels = rng.integers(0, 3, (2, 4, 5))  # class 3 is absent
    labels[0, 0] = 255
    logits[0, 0] = np.nan
    found = dice_loss(logits, labels, background=background)
    expected = dice_loss_by_hand(logits, labels, 255, background)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_dice_loss_is_0_where_all_is_right_and_where_nothing_is_to_learn():
    labels = np.array([0, 1, 1, 2])
    sure = 50.0 * np.eye(3, dtype=np.float32)[labels]
    assert float(dice_loss(sure, labels)) == pytest.approx(0, abs=1e-6)
    assert float(dice_loss(sure, np.array([2, 2, 2, 1]))) == pytest.approx(1, abs=1e-6)
    slope = jax.grad(lambda z: dice_loss(z, np.zeros(4, np.int32)))(jnp.asarray(sure))
    assert not np.asarray(slope).any()  # no class but the background


def test_dice_loss_has_a_finite_gradient_beside_ignored_nan(rng):
    logits = rng.normal(size=(6, 3)).astype(np.float32)
    logits[2] = np.inf
    labels = np.array([0, 1, 255, 2, 1, 0])
    slope = np.asarray(jax.grad(dice_loss)(jnp.asarray(logits), labels))
    assert np.isfinite(slope).all() and not slope[2].any() and slope[1].any()


few = settings(max_examples=20, deadline=None, derandomize=True, database=None)
seeds = st.integers(0, 2**32 - 1)


@few
@given(seeds)
def test_laws_of_the_cross_entropy(seed):
    rng = np.random.default_rng(seed)
    logits, labels = case(rng)
    valid = labels != 255
    with jax.enable_x64(True):
        found = float(cross_entropy(logits, labels))
        # A number added to all logits of a pixel changes no probability.
        moved = logits + rng.normal(size=(2, 3, 4, 1))
        assert float(cross_entropy(moved, labels)) == pytest.approx(found)
        order = rng.permutation(5)
        renamed = np.where(valid, np.argsort(order)[np.where(valid, labels, 0)], 255)
        permuted = cross_entropy(logits[..., order], renamed)
        assert float(permuted) == pytest.approx(found)
        # Gibbs: never below 0; log k where nothing is said.
        assert found > 0
        flat = cross_entropy(0 * logits, labels)
        assert float(flat) == pytest.approx(np.log(5))
        # The gradient of a pixel is softmax less one-hot, over the number of pixels.
        slope = np.asarray(jax.grad(cross_entropy)(jnp.asarray(logits), labels))
        probs = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
        onehot = np.eye(5)[np.where(valid, labels, 0)]
        expected = valid[..., None] * (probs - onehot) / valid.sum()
        np.testing.assert_allclose(slope, expected, atol=1e-12)


@few
@given(seeds)
def test_weights_are_multiplicities(seed):
    rng = np.random.default_rng(seed)
    logits, labels = case(rng, (7,))
    counts = rng.integers(0, 3, 7) + (labels == labels[1])
    again = np.repeat(np.arange(7), counts)
    with jax.enable_x64(True):
        found = float(cross_entropy(logits, labels, weights=counts.astype(float)))
        expected = by_hand(logits[again], labels[again], np.ones(len(again)))
        assert found == pytest.approx(expected)


@few
@given(seeds, st.booleans())
def test_laws_of_the_dice_loss(seed, background):
    rng = np.random.default_rng(seed)
    logits, labels = case(rng)
    with jax.enable_x64(True):
        found = float(dice_loss(logits, labels, background=background))
        assert 0 <= found <= 1
        places = rng.permutation(24)
        shuffled = logits.reshape(24, 5)[places], labels.reshape(24)[places]
        again = dice_loss(*shuffled, background=background)
        assert float(again) == pytest.approx(found)
        twice = np.tile(shuffled[0], (2, 1)), np.tile(shuffled[1], 2)
        assert float(dice_loss(*twice, background=background)) == pytest.approx(found)

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from trfjax.training.augment import NONE, Augment, augment

moved = jax.jit(augment, static_argnames="config")


def painted(rng, b=6, size=(24, 40)):
    """Images that show their own labels: the value is the class over 10."""
    label = np.kron(
        rng.integers(0, 5, (b, size[0] // 8, size[1] // 8)), np.ones((8, 8))
    )
    image = np.repeat(label[..., None] / 10, 3, axis=-1)
    return jnp.asarray(image, jnp.float32), jnp.asarray(label, jnp.int32)


def test_nothing_changes_when_all_is_zero(rng, key):
    images, labels = painted(rng)
    got = moved(images, labels, NONE, key=key)
    np.testing.assert_array_equal(got[0], images)
    np.testing.assert_array_equal(got[1], labels)


def test_a_certain_flip_mirrors_both(rng, key):
    images, labels = painted(rng)
    config = dataclasses.replace(NONE, flip=1.0)
    got = moved(images, labels, config, key=key)
    np.testing.assert_allclose(got[0], images[:, :, ::-1], atol=1e-6)
    np.testing.assert_array_equal(got[1], labels[:, :, ::-1])


@pytest.mark.parametrize("scale", [0.3, 1.0])
def test_image_and_label_move_alike(scale, rng, key):
    images, labels = painted(rng)
    config = dataclasses.replace(NONE, flip=0.5, scale=scale)
    image, label = map(np.asarray, moved(images, labels, config, key=key))
    assert (label != np.asarray(labels)).mean() > 0.2  # something moved
    inside = label != 255
    shown = np.round(image[..., 0] * 10).astype(int)
    # Between two squares the image is a mixture, within half a pixel of the edge.
    wrong = inside & (np.abs(image[..., 0] * 10 - label) > 1e-3)
    edge = np.zeros_like(inside)
    for shift in itertools.product((-1, 0, 1), repeat=2):
        edge |= label != np.roll(label, shift, (1, 2))
    assert not (wrong & ~edge).any()
    assert (shown == label)[inside & ~edge].all()


def test_zooming_out_leaves_ignored_labels_only_outside(rng):
    images, labels = painted(rng, b=32)
    config = dataclasses.replace(NONE, scale=1.0)
    _, label = moved(images, labels, config, ignore=9, key=jax.random.key(1))
    share = (np.asarray(label) == 9).mean(axis=(1, 2))
    assert (share == 0).any() and (share > 0.3).any() and share.max() <= 0.75
    assert set(np.unique(label)) <= {0, 1, 2, 3, 4, 9}


def test_colours_change_within_the_limits_and_labels_stay(rng, key):
    images, labels = painted(rng)
    images = images.at[..., 1].multiply(0.5)
    config = Augment(0.0, 0.0, 1.0, 1.0, 1.0, 1.0)
    image, label = moved(images, labels, config, key=key)
    np.testing.assert_array_equal(label, labels)
    assert image.min() >= 0 and image.max() <= 1
    assert (np.abs(image - images).mean(axis=(1, 2, 3)) > 1e-3).all()


def test_each_image_and_each_key_has_its_own_change(key):
    images, labels = jnp.full((4, 16, 16, 3), 0.5), jnp.zeros((4,), jnp.int32)
    image, label = moved(images, labels, Augment(), key=key)
    assert len(np.unique(np.asarray(image).mean(axis=(1, 2, 3)))) == 4
    assert label.shape == (4,)
    again, _ = moved(images, labels, Augment(), key=key)
    np.testing.assert_array_equal(image, again)
    other, _ = moved(images, labels, Augment(), key=jax.random.key(7))
    assert (np.asarray(other) != np.asarray(image)).any()


def test_impossible_strengths():
    for name, value in (("flip", 1.5), ("scale", -0.1), ("gamma", float("nan"))):
        with pytest.raises(ValueError, match=name):
            Augment(**{name: value})

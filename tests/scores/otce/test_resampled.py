"""OTCE of resampled images from the plan of the drawn pixels."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from tests.scores.otce.test_result import FACTS
from tests.transport.reference import conditional_entropy
from trfjax.scores.otce.resampled import resampled_draws
from trfjax.scores.otce.result import OtceDraws, average
from trfjax.statistics.resamples import Resamples

PIXELS, IMAGES, DRAWN, SOURCES, CLASSES = 50, 4, 30, 3, 2


def made_up(repeats=3, seed=0):
    """Draws of some pixels of a target, with the labels and images of all pixels."""
    rng = np.random.default_rng(seed)
    labels, images = rng.integers(CLASSES, size=PIXELS), np.arange(PIXELS) % IMAGES
    index = np.stack([rng.permutation(PIXELS)[:DRAWN] for _ in range(repeats)])
    shares = rng.dirichlet(np.ones(SOURCES), (repeats, DRAWN)) / DRAWN
    joint = np.zeros((repeats, SOURCES, CLASSES))
    for k in range(repeats):
        for i, row in enumerate(index[k]):
            joint[k, :, labels[row]] += shares[k, i]
    task = np.array([conditional_entropy(one) for one in joint])
    nothing, count = np.zeros(repeats), np.zeros(repeats, int)
    draws = OtceDraws(*(jnp.asarray(part) for part in (
        task, nothing, joint, shares, index, nothing, nothing, count, count == 0,
    )))  # fmt: skip
    return average(draws, jnp.asarray(0.1), **FACTS), labels, images


def scores_by_hand(result, labels, images, row):
    """Minus the entropy of every draw, its pixels weighted by their images."""
    found = []
    for shares, index in zip(
        np.asarray(result.draws.target_shares, float),
        np.asarray(result.draws.target_index),
        strict=True,
    ):
        joint = np.zeros((SOURCES, CLASSES))
        for share, pixel in zip(shares, index, strict=True):
            joint[:, labels[pixel]] += row[images[pixel]] * share
        found.append(-conditional_entropy(joint))
    return np.array(found)


def resampled(result, labels, images, resamples, seed=0):
    return resampled_draws(
        result, labels=labels, images=images, resamples=resamples, seed=seed
    )


def test_images_left_out_keep_all_draws():
    """Rows after the replicates: the mean over draws, no luck in it."""
    result, labels, images = made_up()
    resamples = Resamples.draw(IMAGES, 6, seed=0)
    found = resampled(result, labels, images, resamples)
    assert found.shape == (10,)
    for row, value in zip(resamples.rows[6:], found[6:], strict=True):
        expected = scores_by_hand(result, labels, images, row).mean()
        assert value == pytest.approx(expected, rel=1e-5)


def test_every_image_once_is_the_score():
    result, labels, images = made_up()
    once = Resamples(np.ones((1, IMAGES), np.float32), 0)
    found = resampled(result, labels, images, once)
    assert found[0] == pytest.approx(float(result.score), rel=1e-5)


def test_replicates_draw_the_draws_again():
    result, labels, images = made_up()
    resamples = Resamples.draw(IMAGES, 40, seed=1)
    found = resampled(result, labels, images, resamples)
    distinct = 0
    for row, value in zip(resamples.rows[:40], found[:40], strict=True):
        each = scores_by_hand(result, labels, images, row)
        assert each.min() - 1e-6 <= value <= each.max() + 1e-6
        means = [np.mean(each[[i, j, k]]) for i in range(3) for j in range(3)
                 for k in range(3)]  # fmt: skip
        assert np.abs(np.array(means) - value).min() < 1e-6
        distinct += abs(value - each.mean()) > 1e-6
    assert distinct > 20  # hardly any of them has every draw once


def test_of_one_draw_nothing_is_drawn():
    result, labels, images = made_up(repeats=1)
    resamples = Resamples.draw(IMAGES, 5, seed=2)
    found = resampled(result, labels, images, resamples)
    for row, value in zip(resamples.rows, found, strict=True):
        expected = scores_by_hand(result, labels, images, row)[0]
        assert value == pytest.approx(expected, rel=1e-5)
    np.testing.assert_array_equal(
        found, resampled(result, labels, images, resamples, 7)
    )


def test_the_seed_decides():
    result, labels, images = made_up()
    resamples = Resamples.draw(IMAGES, 20, seed=3)
    one, same, other = (
        resampled(result, labels, images, resamples, s) for s in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, same)
    assert (one[:20] != other[:20]).any()
    np.testing.assert_array_equal(one[20:], other[20:])


def test_multiplicities_scale_to_nothing():
    """An image twice, and all others too, is every image once."""
    result, labels, images = made_up()
    rows = np.array([[1, 0, 2, 1], [3, 0, 6, 3]], np.float32)
    found = resampled(result, labels, images, Resamples(rows, 0))
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def test_the_order_of_the_pixels_of_a_draw_does_not_matter():
    result, labels, images = made_up()
    order = np.random.default_rng(0).permutation(DRAWN)
    moved = dataclasses.replace(
        result,
        draws=dataclasses.replace(
            result.draws,
            target_shares=result.draws.target_shares[:, order],
            target_index=result.draws.target_index[:, order],
        ),
    )
    resamples = Resamples.draw(IMAGES, 4, seed=4)
    np.testing.assert_allclose(
        resampled(moved, labels, images, resamples),
        resampled(result, labels, images, resamples),
        rtol=1e-5,
    )

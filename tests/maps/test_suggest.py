import dataclasses
import itertools

import numpy as np
import pytest

from tests.training.cases import network, squares
from trfjax.maps.suggest import chosen, suggest


def value(shares, mass, surprise, images):
    """Return the value of a set of images by its definition, atom by atom."""
    return sum(
        s * np.sqrt(m * sum(shares[i][k] for i in images))
        for k, (s, m) in enumerate(zip(surprise, mass, strict=True))
    )


def case(rng, images=7, atoms=5):
    shares = rng.dirichlet(np.full(atoms, 0.3), images)
    return shares, shares.mean(axis=0), rng.exponential(size=atoms)


def test_gains_are_what_each_image_adds(rng):
    parts = case(rng)
    indices, gains = chosen(*parts, 4)
    for n in range(4):
        added = value(*parts, indices[: n + 1]) - value(*parts, indices[:n])
        np.testing.assert_allclose(gains[n], added, rtol=1e-9)
        others = [
            value(*parts, [*indices[:n], i]) for i in range(7) if i not in indices[:n]
        ]
        np.testing.assert_allclose(value(*parts, indices[: n + 1]), max(others))
    assert sorted(gains, reverse=True) == list(gains)


def test_the_choice_is_near_the_best_of_all_sets(rng):
    parts = case(rng)
    best = max(value(*parts, s) for s in itertools.combinations(range(7), 3))
    assert value(*parts, chosen(*parts, 3)[0]) >= (1 - 1 / np.e) * best


def test_the_same_sight_twice_is_worth_less():
    shares = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    indices, gains = chosen(shares, np.array([2 / 3, 1 / 3]), np.array([1.0, 1.0]), 3)
    assert indices == (0, 2, 1)  # not the second image of the first atom
    np.testing.assert_allclose(gains[0], np.sqrt(2 / 3))
    np.testing.assert_allclose(gains[1], np.sqrt(1 / 3))


def test_what_the_source_is_sure_of_is_left_alone():
    shares = np.array([[1.0, 0.0], [0.0, 1.0]])
    indices, gains = chosen(shares, np.array([0.9, 0.1]), np.array([0.0, 1.0]), 2)
    assert indices == (1, 0) and gains[1] == 0


def test_labels_are_not_looked_at():
    target = squares(4)

    def blind(position):
        image, label = target.read(position)
        return image, np.full_like(label, 255)

    unlabelled = dataclasses.replace(target, read=blind)
    options = {"count": 2, "atoms": 16, "progress": False}
    found, again = (suggest(network(), d, **options) for d in (target, unlabelled))
    assert found.indices == again.indices
    assert found.image_ids == tuple(target.image_ids[i] for i in found.indices)
    assert found.surprise.shape == (4,) and (found.surprise > 0).all()
    assert str(found).count("expected surprise") == 2
    with pytest.raises(ValueError, match="count: 5 is not between 1 and the 4 images"):
        suggest(network(), target, count=5)

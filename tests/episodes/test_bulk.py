import functools
from typing import Any

import jax
import numpy as np
import pytest
from flax import nnx

from trfjax.data import Dataset, LabelMap
from trfjax.episodes.bulk import fine_tune_episodes
from trfjax.episodes.draw import draw_episodes
from trfjax.models.blocks import Layers, Network
from trfjax.state import ModelCard, Output, TrainedModel, freeze
from trfjax.training.augment import NONE
from trfjax.training.recipe import Recipe
from trfjax.transfer.guide import Guide

RECIPE = Recipe(steps=12, batch_size=4, learning_rate=1e-2, augment=NONE)
GUIDE = Guide(steps=5, source_batch=12, epsilon=1.0, source_weight=1.0)
NAMES = ("a", "b", "c")


def bars(names=NAMES, count=30, size=16, shift=0, name="bars"):
    """A bright bar; its row is the class."""

    def read(position):
        rng = np.random.default_rng(position)
        label = position % len(names)
        image = rng.integers(0, 60, (size, size, 1))
        row = shift + 3 * label
        image[row : row + 3] += 150
        return image.astype(np.uint8), np.array(label, np.int32)

    ids = tuple(f"{name}{i}" for i in range(count))
    return Dataset(name, LabelMap(names), ids, read, ids, f"{name}{count}{size}{shift}")


POOL = bars(("p", "q", "r", "s"), 40, shift=2, name="pool")
EPISODES = draw_episodes(np.arange(40) % 4, count=3, ways=3, shots=2, queries=5, seed=1)


class Dense(Network):
    """Two linear layers and a head: quick to compile."""

    def __init__(self, num_classes, *, rngs):
        make = Layers(rngs)
        self.in_channels = 1
        self.first, self.second = make.linear(256, 8), make.linear(8, 6)
        self.head = make.linear(6, num_classes)

    @property
    def taps(self):
        return {}

    @property
    def head_layers(self):
        return ("head",)

    def __call__(self, x, *, aux=False, taps=(), rngs=None):
        self.check(x, taps)
        x = nnx.relu(self.first(x.reshape(len(x), -1)))
        x = nnx.relu(self.second(x))
        logits = self.head(x)
        return Output(logits, logits, x)


def dense(key, classes=3):
    return freeze(Dense(classes, rngs=nnx.Rngs(key)))


@functools.cache
def source():
    card = ModelCard(
        "bars", "dense", {"num_classes": 3}, NAMES, (16, 16), mean=(0.0,), std=(1.0,)
    )
    return TrainedModel(dense(jax.random.key(0)), card)


def run(episodes=EPISODES, **options: Any):
    options = {"recipe": RECIPE} | options
    return fine_tune_episodes(source(), POOL, episodes, **options)


@functools.cache
def guided():
    return run(guide=GUIDE, source_data=bars())


def test_the_shots_are_learned():
    found = run(recipe=Recipe(steps=60, batch_size=6, augment=NONE))
    assert found.losses.shape == (3, 60)
    assert (found.losses[:, -1] < 0.5 * found.losses[:, 0]).all()
    assert found.accuracy.mean() > 0.5  # of 15 queries; a third is chance
    assert found.diverged == 0 and found.alignment == {}
    hits = found.accuracy * 15
    np.testing.assert_allclose(hits, np.round(hits), atol=1e-5)


@pytest.mark.parametrize("guide", [None, pytest.param(GUIDE, marks=pytest.mark.slow)])
def test_together_or_one_after_another_is_the_same(guide):
    options = {"guide": guide, "source_data": bars() if guide else None}
    one = guided() if guide else run()
    many = run(together=3, **options)
    np.testing.assert_allclose(many.losses, one.losses, rtol=2e-3)
    np.testing.assert_allclose(many.log_likelihood, one.log_likelihood, rtol=5e-3)


def test_progress_by_parts_changes_nothing():
    """Nine episodes four at a time: the second part overlaps with the third."""
    nine = draw_episodes(np.arange(40) % 4, count=9, ways=3, shots=2, queries=5, seed=1)
    parts, whole = run(nine, progress=True), run(nine)
    np.testing.assert_allclose(parts.losses, whole.losses, rtol=1e-5)
    np.testing.assert_allclose(parts.accuracy, whole.accuracy, rtol=1e-5)


def test_an_episode_does_not_depend_on_the_others():
    alone = run(EPISODES.select(slice(1, 2)))
    np.testing.assert_allclose(alone.losses, run().losses[1:2], rtol=1e-5)


def test_every_episode_has_its_own_head_and_seeds_change_it():
    same = EPISODES.select([0, 0])
    first = run(same).losses
    np.testing.assert_array_equal(first[0], first[1])
    other = Recipe(**{**vars(RECIPE), "seed": 1})
    assert (run(same, recipe=other).losses[:, 0] != first[:, 0]).all()
    assert len(set(run().losses[:, 0].tolist())) == 3


def test_scratch_forgets_the_source():
    found = run(fresh=dense)
    assert (found.losses[:, 0] != run().losses[:, 0]).all()
    elsewhere = TrainedModel(dense(jax.random.key(9)), source().card)
    again = fine_tune_episodes(elsewhere, POOL, EPISODES, recipe=RECIPE, fresh=dense)
    np.testing.assert_array_equal(found.losses, again.losses)


def test_the_guide_lowers_what_it_minimises():
    guide = Guide(steps=40, source_batch=30, learning_rate=5e-3, relative_epsilon=True)
    found = run(guide=guide, source_data=bars()).alignment
    differences = found["task_difference"]
    assert differences.shape == (3, 40)
    assert (differences[:, -5:].mean(axis=1) < 0.8 * differences[:, 0]).all()
    assert found["gradient_norm"].min() > 0
    assert found["marginal_error"].max() < 2e-3


def test_the_guide_changes_the_start_and_the_head_does_not_move():
    still = Guide(steps=1, learning_rate=1e-12, epsilon=1.0)
    at_rest = run(guide=still, source_data=bars())
    np.testing.assert_allclose(at_rest.losses[:, 0], run().losses[:, 0], rtol=1e-4)
    assert (np.abs(guided().losses[:, 0] - run().losses[:, 0]) > 1e-4).all()
    assert set(guided().alignment) == {
        "loss", "gradient_norm", "task_difference", "domain_difference",
        "marginal_error", "converged", "source_accuracy",
    }  # fmt: skip


def test_an_episode_that_diverges_keeps_its_last_good_state():
    wild = Recipe(steps=8, learning_rate=1e30, augment=NONE, warmup=0.0)
    found = run(recipe=wild)
    assert found.diverged == 3 and (found.stopped > 0).all()
    assert np.isfinite(found.accuracy).all()
    for losses, stopped in zip(found.losses, found.stopped, strict=True):
        assert np.isfinite(losses[:stopped]).all() and np.isnan(losses[stopped:]).all()


def test_what_does_not_fit():
    with pytest.raises(ValueError, match="source_data: the guide aligns"):
        run(guide=GUIDE)
    with pytest.raises(
        ValueError, match=r"its classes .* are not those of the network"
    ):
        run(guide=GUIDE, source_data=POOL)
    with pytest.raises(ValueError, match=r"images of shape \(20, 20, 1\)"):
        run(guide=GUIDE, source_data=bars(size=20))
    with pytest.raises(ValueError, match="moves no layer before the head"):
        run(guide=Guide(moves="head"), source_data=bars())
    far = draw_episodes(np.arange(90) % 4, count=3, ways=3, shots=2, queries=5)
    with pytest.raises(ValueError, match="of pool, which has 40"):
        run(far)

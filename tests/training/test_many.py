import dataclasses
from typing import Any

import jax
import numpy as np
import pytest

from tests.training.cases import (
    NAMES,
    RECIPE,
    assert_same,
    changed,
    leaves,
    network,
    squares,
    unet,
)
from trfjax.training import many
from trfjax.training.augment import NONE
from trfjax.training.many import train_many
from trfjax.training.many_step import many_step
from trfjax.training.train import train

SEEDS = (0, 3)


def sources(count=2):
    """Networks with weights of their own, on data sets of different length."""
    trained = [network(seed) for seed in range(count)]
    data = [squares(4 + seed, seed=seed) for seed in range(count)]
    return trained, data


def fit(trained, data, recipe=RECIPE, **options):
    cards = [dataclasses.replace(t.card, name=f"s{i}") for i, t in enumerate(trained)]
    models = [t.model for t in trained]
    return train_many(
        models, data, cards=cards, recipe=recipe, progress=False, **options
    )


def both(*results):
    return [result.trained.model for result in results]


def doubled(model):
    return jax.tree.map(lambda leaf: leaf.astype(np.float64), model)


@pytest.mark.parametrize("order", ["unrolled", "map", "vmap"])
def test_the_numbers_are_those_of_separate_runs(order, x64):
    """In double precision.

    In single precision losses agree as well, but Adam turns the rounding of gradients
    that are zero (of biases before a norm) into steps of its own.
    """
    trained, data = sources()
    trained = [dataclasses.replace(t, model=doubled(t.model)) for t in trained]
    light = dataclasses.replace(NONE, brightness=0.2)  # drawn by each source's own key
    recipe = changed(augment=light, class_weighting="sqrt")
    tests = [squares(3, seed=9 + i) for i in range(2)]
    found = fit(trained, data, recipe, order=order, seeds=SEEDS, evaluate_on=tests)
    assert found.diverged == (None, None)
    for i, result in enumerate(found.results):
        alone = train(
            trained[i].model,
            data[i],
            card=trained[i].card,
            recipe=changed(recipe, seed=SEEDS[i]),
            progress=False,
            evaluate_on=tests[i],
        )
        np.testing.assert_allclose(
            result.history["loss"], alone.history["loss"], rtol=1e-7
        )
        pairs = zip(*map(leaves, both(result, alone)), strict=True)
        for a, b in pairs:
            assert a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)
        assert result.evaluation is not None and alone.evaluation is not None
        assert result.evaluation.log_likelihood == pytest.approx(
            alone.evaluation.log_likelihood, rel=1e-6
        )


@pytest.mark.slow
def test_a_real_network_trains_the_same():
    trained = [unet(), unet()]
    data = [squares(4, seed=seed) for seed in range(2)]
    found = fit(trained, data)
    for result, source, own in zip(found.results, trained, data, strict=True):
        alone = train(
            source.model, own, card=source.card, recipe=RECIPE, progress=False
        )
        np.testing.assert_allclose(
            result.history["loss"], alone.history["loss"], rtol=1e-4
        )


def test_all_sources_are_one_program():
    trained, data = sources()
    fit(trained, data)
    step: Any = many_step
    before = step._cache_size()
    fit(trained[::-1], data[::-1], seeds=SEEDS)
    assert step._cache_size() == before


def test_the_order_is_chosen_by_the_device(monkeypatch):
    chosen = []

    def step(states, alive, *rest, program):
        chosen.append(program.order)
        return states, np.ones(2), alive

    monkeypatch.setattr(many, "many_step", step)
    trained, data = sources()
    for backend in ("cpu", "gpu"):
        monkeypatch.setattr(jax, "default_backend", lambda backend=backend: backend)
        fit(trained, data, changed(steps=1))
    fit(trained, data, changed(steps=1), order="map")
    assert chosen == ["unrolled", "vmap", "map"]


@pytest.mark.parametrize("order", ["unrolled", "vmap"])
def test_a_diverged_source_stops_and_the_others_go_on(order, caplog):
    trained, data = sources()
    healthy = fit(trained, data, order=order)
    # A network of infinite weights never gives a finite loss.
    broken = dataclasses.replace(
        trained[1],
        model=jax.tree.map(lambda leaf: leaf * np.inf, trained[1].model),
    )
    found = fit([trained[0], broken], data, order=order)
    assert found.diverged == (None, 1)
    assert found.results[1].history["loss"] == []
    assert "s1: the loss or its gradient is not finite at step 1" in caplog.text
    other = healthy.results[0]
    assert_same(found.results[0].trained.model, other.trained.model)
    assert found.results[0].history == other.history


def test_what_diverges_later_keeps_its_last_good_network():
    trained, data = sources(1)
    recipe = changed(learning_rate=1e38, steps=9)
    found = fit(trained, data, recipe)
    step = found.diverged[0]
    assert step is not None and step > 1
    assert len(found.results[0].history["loss"]) == step - 1
    kept = found.results[0].trained.model.params
    assert all(np.isfinite(leaf).all() for leaf in leaves(kept))


def test_sources_that_do_not_go_together_are_refused():
    trained, data = sources()
    with pytest.raises(ValueError, match=r"one of each per source.*'datasets': 1"):
        fit(trained, data[:1])
    with pytest.raises(ValueError, match="'models': 0"):
        fit([], [])
    with pytest.raises(
        ValueError, match="unknown order 'pmap'; available: auto, unrolled"
    ):
        fit(trained, data, order="pmap")
    wide = [trained[0], network(1, width=4)]
    with pytest.raises(ValueError, match="s1 differs in structure from s0"):
        fit(wide, data)
    names = (*NAMES, "more")
    more = [trained[0], network(1, names=names)]
    with pytest.raises(ValueError, match="number of classes"):
        fit(more, [data[0], squares(names=names)])
    with pytest.raises(ValueError, match=r"images of s1 are \(32, 64, 3\), those of"):
        fit(trained, [data[0], squares(size=(32, 64))])
    with pytest.raises(ValueError, match="not one the network knows"):
        fit(trained, [data[0], squares(names=("left", "right", "sky"))])
    wrong = data[1].map(lambda x, y: (x, np.where(y == 2, 3, y)), tag="3")
    with pytest.raises(ValueError, match=r"label 3 is outside 0\.\.2"):
        fit(trained, [data[0], wrong])

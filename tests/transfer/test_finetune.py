import dataclasses
from typing import Any

import jax
import numpy as np
import pytest

from tests.training.cases import (
    RECIPE,
    assert_same,
    changed,
    leaves,
    network,
    squares,
)
from trfjax.data import LabelMap
from trfjax.errors import ScoreWarning
from trfjax.training.layers import layer_order
from trfjax.transfer.finetune import finetune
from trfjax.transfer.start import FINETUNE

OTHER = ("left", "up", "down", "right")
FROZEN = changed(batch_norm="frozen", steps=2)


def test_the_head_is_kept_where_the_classes_are_known():
    source = network()
    result = finetune(source, squares(), test=squares(2, seed=1), recipe=RECIPE)
    known = dataclasses.replace(result.trained.card, trained_on="")
    assert result.head == "kept" and known == source.card
    assert result.trained.card.trained_on == "squares"
    assert len(result.curves["loss"]) == 4 and result.best_step == 4
    assert result.evaluation is not None
    assert result.evaluation.log_likelihood < 0 and result.evaluation.images == 2


def test_labels_of_a_kept_head_are_matched_by_name():
    source = network()
    data = squares(names=("top", "left", "right"))

    def renamed(image, label):
        return image, np.array([2, 0, 1, *[255] * 253], np.int32)[label]

    same = dataclasses.replace(
        data.map(renamed, tag=""), labels=squares().labels, fingerprint="same"
    )
    one, two = (finetune(source, d, recipe=RECIPE).trained for d in (data, same))
    assert_same(one.model, two.model)
    assert one.card.class_names == source.card.class_names


def test_another_label_set_gets_a_new_head():
    source = network()
    target = squares(names=OTHER)
    result = finetune(source, target, test=target, recipe=RECIPE)
    assert result.head == "new"
    assert result.trained.card.class_names == OTHER
    assert result.trained.card.config["num_classes"] == 4
    assert source.card.config["num_classes"] == 3
    forced = finetune(source, squares(), head="new", recipe=RECIPE)
    assert (
        forced.head == "new"
        and forced.trained.card.class_names == source.card.class_names
    )


@pytest.mark.parametrize("mode", ["full", "head", "last-2", "norm"])
def test_modes_move_what_they_say(mode):
    source = network()
    after = finetune(source, squares(), mode=mode, recipe=FROZEN).trained.model
    assert_same(after.stats, source.model.stats)
    order = layer_order(source.model, (32, 32, 3))
    expected = {
        "full": set(order),
        "head": {"head"},
        "last-2": set(order[-3:]),
        "norm": {name for name in order if "norm" in name},
    }[mode]
    moved = set()
    before = jax.tree_util.tree_leaves_with_path(source.model.params)
    for (keys, old), new in zip(before, leaves(after.params), strict=True):
        if (np.asarray(old) != new).any():
            moved.add(jax.tree_util.keystr(keys[:-1], simple=True, separator="/"))
    assert moved == expected


def test_held_out_shots_choose_the_step_and_can_keep_the_source():
    source = network()
    recipe = changed(steps=4, learning_rate=1e-9, batch_norm="frozen")
    result = finetune(source, squares(6), recipe=recipe, held_out=0.3, evaluate_every=2)
    assert result.curves["held_out_step"] == [0, 2, 4]
    values = result.curves["held_out"]
    assert result.best_step == result.curves["held_out_step"][int(np.argmax(values))]
    harmful = changed(steps=4, learning_rate=10.0)
    result = finetune(source, squares(6), recipe=harmful, held_out=0.3)
    assert result.best_step == 0
    assert_same(result.trained.model, source.model)
    fresh = finetune(source, squares(6), recipe=harmful, held_out=0.3, head="new")
    assert fresh.best_step == 4  # a head that knows nothing is never returned


def test_seeds_draw_the_new_head():
    one, two = (
        finetune(network(), squares(names=OTHER), recipe=changed(seed=s, steps=1))
        for s in (0, 1)
    )
    heads = [r.trained.model.params["head"]["kernel"] for r in (one, two)]
    assert (np.asarray(heads[0]) != np.asarray(heads[1])).any()


def test_shots_that_miss_a_class():
    few = squares().map(lambda x, y: (x, np.where(y == 2, 1, y)), tag="two")
    assert finetune(network(), few, recipe=FROZEN).missing == ("top",)
    with pytest.warns(ScoreWarning, match="no image shows top; the new head"):
        finetune(network(), few, recipe=RECIPE, head="new")
    one = squares().map(lambda x, y: (x, np.zeros_like(y)), tag="one")
    with pytest.raises(ValueError, match="fewer than two classes"):
        finetune(network(), one, recipe=RECIPE)
    single = dataclasses.replace(one, labels=LabelMap(("all",)))
    with pytest.raises(ValueError, match=r"a single class \(all\)"):
        finetune(network(), single, recipe=RECIPE)


def test_class_weights_and_settings_that_do_not_fit():
    weighted = finetune(
        network(), squares(), recipe=FROZEN, class_weights=np.array([1.0, 0.0, 3.0])
    )
    plain = finetune(network(), squares(), recipe=FROZEN)
    assert weighted.curves["loss"] != plain.curves["loss"]
    with pytest.raises(ValueError, match="2 for 3 classes"):
        finetune(network(), squares(), recipe=FROZEN, class_weights=np.ones(2))
    wrong: list[Any] = [{"held_out": 0.9}, {"evaluate_every": 0}, {"mode": "half"}]
    for options in wrong:
        with pytest.raises(ValueError, match=next(iter(options))):
            finetune(network(), squares(), recipe=FROZEN, **options)


def test_the_default_recipe_is_gentle():
    assert FINETUNE.learning_rate <= 2e-3 and FINETUNE.steps <= 100

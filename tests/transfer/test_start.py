import functools

import jax
import pytest

from tests.training.cases import assert_same, squares
from trfjax.models import create_model
from trfjax.state import ModelCard, TrainedModel, head_layers
from trfjax.transfer.start import Finetuning, prepare


@pytest.mark.parametrize("name", ["fcn8s", "bisenet"])
def test_a_head_whose_layers_read_one_another_is_built_from_the_card(name):
    config = {"num_classes": 3, "width": 2}
    build = jax.jit(functools.partial(create_model, name, **config))
    card = ModelCard(name, name, config, ("a", "b", "c"), (32, 32))
    source = TrainedModel(build(), card)
    target = squares(names=("left", "up", "down", "right"))
    start = prepare(source, target, Finetuning())
    assert start.new == set(head_layers(source.model))
    assert start.card.config == {"num_classes": 4, "width": 2}
    wanted = jax.eval_shape(
        functools.partial(create_model, name, num_classes=4, width=2)
    )
    assert jax.tree.structure(start.model) == jax.tree.structure(wanted)
    part = "blocks" if name == "fcn8s" else "trunk"
    assert_same(start.model.params[part], source.model.params[part])

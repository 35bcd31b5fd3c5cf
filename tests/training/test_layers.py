import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.training.cases import assert_same, unet
from trfjax.models import create_model
from trfjax.state import apply
from trfjax.training.layers import layer_order, trainable_layers, with_new_head
from trfjax.trees import flatten

IMAGE = (32, 32, 3)
NOTHING = frozenset()


def test_layers_in_the_order_of_the_data():
    order = layer_order(unet().model, IMAGE)
    assert order[:3] == ["encoder/0/conv1", "encoder/0/norm1", "encoder/0/conv2"]
    assert order[-3:] == ["decoder/3/conv2", "decoder/3/norm2", "head"]
    assert len(order) == len(set(order))


def test_modes():
    model = unet().model
    chosen = functools.partial(trainable_layers, model, IMAGE, head=NOTHING)
    assert chosen("full") is None
    assert chosen("head") == chosen("last-1") == {"head"}
    assert chosen("last-2") == {"head", "decoder/3/conv2", "decoder/3/norm2"}
    norms = chosen("norm") or NOTHING
    assert "decoder/0/norm1" in norms and "head" not in norms
    head = frozenset(["head"])
    assert trainable_layers(model, IMAGE, "norm", head=head) == norms | head
    for wrong in ("last-0", "last-99", "last", "lasts-2", "half"):
        with pytest.raises(ValueError, match="mode"):
            chosen(wrong)
    with pytest.raises(ValueError, match="no norms"):
        plain = create_model("lenet", num_classes=3)
        trainable_layers(plain, (28, 28, 1), "norm", head=NOTHING)


def test_a_new_head_and_nothing_else(key):
    model = unet().model
    new, head = with_new_head(model, 5, IMAGE, key=key)
    assert head == {"head"}
    build = functools.partial(create_model, "unet", num_classes=5, width=2)
    assert jax.tree.structure(new) == jax.tree.structure(jax.eval_shape(build))
    assert apply(new, jnp.zeros((1, *IMAGE))).logits.shape == (1, 32, 32, 5)
    for part in ("encoder", "centre", "up", "decoder"):
        assert_same(new.params[part], model.params[part])
    assert apply(model, jnp.zeros((1, *IMAGE))).logits.shape[-1] == 3  # as it was
    other, _ = with_new_head(model, 5, IMAGE, key=jax.random.key(9))
    assert (np.asarray(other.params["head"]["kernel"]) != 0).all()
    assert (other.params["head"]["kernel"] != new.params["head"]["kernel"]).any()


def test_the_head_of_a_classifier(key):
    model = create_model("lenet", num_classes=10)
    new, head = with_new_head(model, 3, (28, 28, 1), key=key)
    assert head == {"fc3"}
    assert apply(new, jnp.zeros((2, 28, 28, 1))).logits.shape == (2, 3)


@pytest.mark.parametrize(
    ("name", "config", "head"),
    [
        ("pspnet", {"depth": 50}, {"classifier", "aux_classifier"}),
        (
            *("bisenet_official", {}),
            {"head/classifier", "head16/classifier", "head8/classifier"},
        ),
    ],
)
def test_every_declared_head_is_new_and_drawn_apart(name, config, head, key):
    build = functools.partial(create_model, name, width=2, **config)
    model = jax.jit(functools.partial(build, num_classes=3))()
    new, found = with_new_head(model, 4, (32, 32, 3), key=key)
    assert found == head == trainable_layers(new, (32, 32, 3), "head", head=NOTHING)
    shapes = jax.eval_shape(functools.partial(build, num_classes=4))
    assert jax.tree.structure(new) == jax.tree.structure(shapes)
    assert [leaf.shape for leaf in jax.tree.leaves(new)] == [
        leaf.shape for leaf in jax.tree.leaves(shapes)
    ]
    first = {np.asarray(leaf).flat[0] for leaf in _kernels(new, head)}
    assert len(first) == len(head)


def _kernels(model, head):
    leaves = flatten(model.params)
    return [leaves[f"{layer}/kernel"] for layer in head]


def test_networks_with_more_than_a_last_layer_need_rebuild(key):
    build = functools.partial(create_model, "fcn8s", width=2)
    model = build(num_classes=3)
    with pytest.raises(ValueError, match="rebuild="):
        with_new_head(model, 4, (64, 64, 3), key=key)

    def rebuild(num_classes):
        return build(num_classes=num_classes, key=key)

    new, head = with_new_head(model, 4, (64, 64, 3), rebuild=rebuild, key=key)
    assert "score" in head and "up8" in head
    same = [name for name in model.params if name not in head]
    assert same
    for name in same:
        assert_same(new.params[name], model.params[name])
    assert apply(new, jnp.zeros((1, 64, 64, 3))).logits.shape[-1] == 4
    with pytest.raises(ValueError, match="another kind"):
        with_new_head(unet().model, 4, IMAGE, rebuild=rebuild, key=key)

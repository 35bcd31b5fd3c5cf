"""What networks say of themselves, against what their shapes show."""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from tests.models.network_cases import CASES, CLASSES, channels, shape_of
from trfjax.models.blocks import Network
from trfjax.models.sizes import NativeSize
from trfjax.state import SourceModel, apply, freeze, head_layers, level_taps, taps, thaw
from trfjax.trees import flatten


@pytest.mark.parametrize("case", CASES)
def test_the_head_is_every_layer_whose_shape_depends_on_the_classes(case):
    params, stats, graphdef = shape_of(case)
    more = flatten(shape_of(case, CLASSES + 1)[0])
    depend = {
        path.rpartition("/")[0]
        for path, leaf in flatten(params).items()
        if leaf.shape != more[path].shape
    }
    declared = head_layers(SourceModel(params, stats, graphdef))
    assert set(declared) == depend and len(set(declared)) == len(declared)


@pytest.mark.parametrize("case", CASES)
def test_native_size_is_that_of_the_native_logits(case):
    params, stats, graphdef = shape_of(case)
    size = CASES[case][2]
    x = jax.ShapeDtypeStruct((1, *size, channels(case)), jnp.float32)
    run = lambda p, s, x: apply(SourceModel(p, s, graphdef), x).logits_native  # noqa: E731
    native = jax.eval_shape(run, params, stats, x).shape[1:-1]
    declared = thaw(SourceModel(params, stats, graphdef)).native_size
    assert declared.nearest(size) == size
    if declared.stride is None:
        assert native == ()
    else:  # ceil pooling may add a cell
        for side, cells in zip(size, native, strict=True):
            assert 0 <= cells - -(-(side - declared.lost) // declared.stride) <= 1
            assert declared.stride > 1 or cells == side - declared.lost


@pytest.mark.parametrize("case", CASES)
def test_levels_are_taps(case):
    model = SourceModel(*shape_of(case))
    assert level_taps(model) and set(level_taps(model)) <= set(taps(model))


def test_levels_are_the_decoder_where_there_is_one():
    levels = {case: level_taps(SourceModel(*shape_of(case))) for case in CASES}
    assert levels["unet"] == ("dec4", "dec3", "dec2", "dec1")
    assert levels["segnet"] == ("up5", "up4", "up3", "up2", "up1")
    assert levels["frrn_a"] == ("decoding8_y", "decoding4_y", "decoding2_y")
    assert levels["resnet18"] == ("layer1", "layer2", "layer3", "layer4")


@pytest.mark.parametrize(
    ("rule", "size", "nearest", "words"),
    [
        (NativeSize(), (1, 7), (1, 7), None),
        (NativeSize(least=16), (15, 20), (16, 20), "at least 16"),
        (NativeSize(least=32, multiple=32), (10, 80), (32, 64), "multiples of 32"),
        (NativeSize(188, 16, 12), (360, 480), (364, 476), "12 modulo 16 and at least"),
        (NativeSize(only=(28, 28)), (28, 32), (28, 28), "those of `input_size`"),
    ],
)
def test_the_nearest_legal_size(rule, size, nearest, words):
    assert rule.nearest(size) == nearest
    rule.check(nearest)
    if words is None:
        return rule.check(size)
    message = f"{words}.*legal size is {nearest[0]} x {nearest[1]}"
    with pytest.raises(ValueError, match=message):
        rule.check(size)


def test_a_network_that_does_not_declare_its_head_is_told_how():
    class Bare(Network):
        in_channels = 3

    for net in (Bare(), nnx.Linear(2, 3, rngs=nnx.Rngs(0))):
        with pytest.raises(ValueError, match="declare `head_layers` on it"):
            head_layers(freeze(net))

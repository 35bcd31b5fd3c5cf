"""What is particular to one architecture."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.models.network_cases import CLASSES, build, images
from trfjax.models import create_model
from trfjax.models.blocks import Layers, Network, recomputed
from trfjax.models.trunk import BasicBlock
from trfjax.state import Output, apply, apply_train, freeze

RUN = jax.jit(apply, static_argnames=("aux", "taps"))


def with_leaf(model, path, change):
    """Return the network with one parameter changed."""

    def edit(keys, leaf):
        name = jax.tree_util.keystr(keys, simple=True, separator="/")
        return change(leaf) if name == path else leaf

    params = jax.tree_util.tree_map_with_path(edit, model.params)
    return dataclasses.replace(model, params=params)


@pytest.mark.parametrize("aspp", ["all", "first_two"])
def test_the_known_mistake_ignores_two_branches(aspp):
    config = {"width": 1, "aspp": aspp, "num_classes": CLASSES}
    model, x = create_model("deeplabv2", **config), images("deeplab-single")
    before = RUN(model, x).logits
    for branch in range(4):
        path = f"head/branches/{branch}/bias"
        after = RUN(with_leaf(model, path, lambda leaf: leaf + 1), x).logits
        acts = aspp == "all" or branch < 2
        np.testing.assert_allclose(after, before + acts, atol=1e-5)


def test_frrn_of_pytorch_semseg_uses_the_last_pooled_stream_of_a_stage():
    """Only through the residual stream does a first unit act on its stage's end."""
    x = images("frrn_a-semseg")
    unit = "encoding_3_12_2_0"
    run = jax.jit(lambda m: apply(m, x, taps=("encoding2_y",)).levels["encoding2_y"])

    def outputs(case, path):
        model = with_leaf(build(case), f"{unit}/back/kernel", jnp.zeros_like)
        model = with_leaf(model, f"{unit}/back/bias", jnp.zeros_like)
        changed = with_leaf(model, path, lambda leaf: leaf + 1)
        return [run(m) for m in (model, changed)]

    same = outputs("frrn_a-semseg", f"{unit}/unit2/norm/bias")
    np.testing.assert_array_equal(*same)
    before, after = outputs("frrn_a", f"{unit}/unit2/norm/bias")
    assert bool((before != after).any())


def test_taps_are_parts_of_the_plain_forward():
    out = RUN(build("unet"), images("unet"), taps=("dec1", "centre"))
    np.testing.assert_array_equal(out.levels["dec1"], out.features)
    plain = RUN(build("unet"), images("unet"))
    np.testing.assert_allclose(plain.logits, out.logits, rtol=1e-5, atol=1e-5)
    out = RUN(build("bisenet"), images("bisenet"), taps=("merged", "spatial"))
    spatial = out.levels["spatial"]
    merged = out.levels["merged"][..., : spatial.shape[-1]]
    np.testing.assert_array_equal(merged, spatial)


def test_segnet_of_pytorch_semseg_has_no_negative_logits():
    out = RUN(build("segnet-semseg"), images("segnet-semseg"))
    assert out.logits.min() == 0
    assert RUN(build("segnet"), images("segnet")).logits.min() < 0


def test_segnet_pools_up_on_request():
    model = create_model("segnet", num_classes=CLASSES, width=2, ceil=True)
    out = RUN(model, images("segnet"), taps=("down1", "down5"))
    assert out.levels["down1"].shape[1:3] == (23, 31)
    assert out.levels["down5"].shape[1:3] == (2, 2)
    assert out.logits.shape == (2, 45, 61, CLASSES)


def test_fcn8s_starts_at_zero_and_may_keep_its_last_upsampling():
    config = {"num_classes": CLASSES, "width": 1, "freeze_last_upsample": True}
    model, x = create_model("fcn8s", **config), images("fcn8s", batch=1)
    assert not RUN(model, x).logits.any()

    def loss(params):
        return RUN(dataclasses.replace(model, params=params), x).logits.sum()

    raised = with_leaf(model, "score/bias", lambda leaf: leaf + 1)
    grads = jax.grad(loss)(raised.params)
    assert not grads["up8"]["kernel"].any() and grads["up4"]["kernel"].any()


def test_unet_without_padding_may_stretch_its_logits():
    config = {"num_classes": CLASSES, "width": 1, "variant": "paper"}
    x = images("unet-paper", batch=1)
    model = create_model("unet", resize_logits=True, **config)
    out = RUN(model, x)
    assert out.logits.shape == (1, 188, 204, CLASSES)
    assert out.logits_native.shape == (1, 4, 20, CLASSES)


def test_unet_semseg_may_pad():
    config = {"num_classes": CLASSES, "width": 1, "variant": "semseg", "padding": 1}
    out = RUN(create_model("unet", **config), images("unet"))
    assert out.logits.shape == (2, 45, 61, CLASSES)
    with pytest.raises(ValueError, match="an option of variant 'semseg' only"):
        create_model("unet", num_classes=2, padding=1)


def test_residual_blocks_may_start_as_the_identity():
    config = {"num_classes": CLASSES, "width": 2, "zero_init_residual": True}
    model = create_model("resnet18", **config)
    scale = model.params["trunk"]["stages"][0][0]["bn2"]["scale"]
    assert not scale.any()


def stepped(model, x):
    """Return loss, gradients and statistics of a training step, and its memory."""

    @jax.jit
    def step(model, x):
        def loss(params):
            values = dataclasses.replace(model, params=params)
            out, stats = apply_train(values, x, key=jax.random.key(1))
            return jnp.square(out.logits).mean(), stats

        return jax.value_and_grad(loss, has_aux=True)(model.params)

    compiled = step.lower(model, x).compile()
    memory: Any = compiled.memory_analysis()
    return compiled(model, x), memory.temp_size_in_bytes


def assert_recomputing_is_the_same(build_with, x, rtol):
    (plain, much), (again, less) = (stepped(build_with(flag), x) for flag in (0, 1))
    for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(again), strict=True):
        np.testing.assert_allclose(b, a, rtol=rtol, atol=rtol * np.abs(a).max())
    return less / much


class Blocks(Network):
    """Four residual blocks; much of the memory is what lies inside them."""

    def __init__(self, remat, rngs):
        make = Layers(rngs)
        self.blocks = nnx.List(BasicBlock(make, 3, 3) for _ in range(4))
        self.remat, self.in_channels = remat, 3

    def __call__(self, x, *, aux=False, taps=(), rngs=None):
        for block in self.blocks:
            x = recomputed(block, x) if self.remat else block(x)
        return Output(x, x, x)


def test_recomputed_units_give_the_same_step():
    """Statistics too: they are updated inside what is computed twice."""

    def build_with(flag):
        return freeze(Blocks(bool(flag), rngs=nnx.Rngs(0)))

    assert_recomputing_is_the_same(build_with, images("unet"), 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "config"),
    [("frrn_a", {"width": 6}), ("pspnet", {"width": 4, "depth": 50})],
)
def test_recomputing_a_network_is_the_same_and_needs_no_more_memory(name, config):
    def build_with(flag):
        return create_model(name, num_classes=CLASSES, remat=bool(flag), **config)

    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 96, 128, 3)), jnp.float32)
    share = assert_recomputing_is_the_same(build_with, x, 1e-3)
    print(name, f"memory of a step {share:.2f}")
    assert share < 1  # on a CPU little is gained

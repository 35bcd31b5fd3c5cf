"""What is particular to one architecture."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_cases import CLASSES, build, images

from trfjax.models import create_model
from trfjax.state import apply

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

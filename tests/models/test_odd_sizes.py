"""At 3 x 181 x 243: forward and backward, or an error with the nearest legal size."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.models.network_cases import CASES, CLASSES, build, channels, images, shape_of
from trfjax.models import list_models
from trfjax.state import SourceModel, apply, apply_train
from trfjax.trees import flatten

SIZE = (181, 243)
REFUSED = {  # case: the nearest legal size
    "unet-paper": (188, 236),
    "unet-semseg": (188, 236),
    "frrn_a": (176, 240),
    "frrn_a-semseg": (176, 240),
    "frrn_b": (192, 256),
    "frrn_b-semseg": (192, 256),
    "lenet": (28, 28),
    "lenet-caffe": (28, 28),
    "conv4": (28, 28),
}
QUICK = ("unet", "segnet")
TAKEN = [
    pytest.param(case, marks=() if case in QUICK else pytest.mark.slow)
    for case in CASES
    if case not in REFUSED
]


@pytest.mark.parametrize("case", TAKEN)
def test_odd_sizes_go_forward_and_backward(case):
    """The gradient of a random weighing of all logits is finite and reaches all."""
    model, x = build(case), images(case, size=SIZE)

    @jax.jit
    def step(model, x, key):
        def loss(params):
            values = dataclasses.replace(model, params=params)
            out, _ = apply_train(values, x, aux=True, key=key)
            maps = (out.logits, *out.aux)
            weights = [jax.random.normal(jax.random.key(9), m.shape) for m in maps]
            total = sum(jnp.vdot(m, w) for m, w in zip(maps, weights, strict=True))
            return total, maps

        return jax.value_and_grad(loss, has_aux=True)(model.params)

    (value, maps), grads = step(model, x, jax.random.key(1))
    vectors = CASES[case][0] in ("resnet18", "resnet101")
    shape = (2, CLASSES) if vectors else (2, *SIZE, CLASSES)
    assert all(logits.shape == shape for logits in maps)
    assert np.isfinite(value)
    for path, grad in flatten(grads).items():
        assert np.isfinite(grad).all(), path
        assert np.abs(grad).max() > 0, path


@pytest.mark.parametrize("case", REFUSED)
def test_a_size_that_cannot_be_taken_names_one_that_can(case):
    params, stats, graphdef = shape_of(case)

    def logits(size):
        x = jax.ShapeDtypeStruct((1, *size, channels(case)), jnp.float32)
        return jax.eval_shape(
            lambda p, s, x: apply(SourceModel(p, s, graphdef), x).logits,
            *(params, stats, x),
        )

    near = REFUSED[case]
    with pytest.raises(
        ValueError, match=rf"got 181 x 243; the nearest.* is {near[0]} x {near[1]}\b"
    ):
        logits(SIZE)
    assert logits(near).shape[-1] == CLASSES


def test_every_listed_network_is_either_taken_or_refused():
    assert {CASES[case][0] for case in CASES} == set(list_models())

"""What a network costs: parameters, multiply-adds, and the maps it offers."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from trfjax.models import abstract_model, list_models
from trfjax.models.resize import RESIZING
from trfjax.state import SourceModel, Tap, apply, thaw


@dataclasses.dataclass(frozen=True)
class ModelInfo:
    """The facts of one network at one input size."""

    name: str
    parameters: int
    multiply_adds: int  # of convolutions and matrix products, for one image
    input_size: tuple[int, int]
    output_size: tuple[int, ...]  # of the logits before the last resize
    taps: dict[str, Tap]


def model_info(
    model: str | SourceModel,
    input_size: tuple[int, int] = (512, 1024),
    *,
    num_classes: int = 19,
    name: str = "",
    **config: Any,
) -> ModelInfo:
    """Return what a network costs; nothing is allocated or run.

    Args:
        model: a name of `list_models()`, or a network.
        input_size: height and width of one image.
        num_classes: channels of the logits, for a name.
        name: how to call the network; the model's name by default.
        **config: further arguments of `create_model`, for a name.
    """
    if isinstance(model, str):
        name = name or model
        params, stats, graphdef = abstract_model(
            model, num_classes=num_classes, **config
        )
    else:
        params, stats, graphdef = model.params, model.stats, model.graphdef
    seen: dict[str, Any] = {}

    def run(params: Any, stats: Any) -> Any:
        values = SourceModel(params, stats, graphdef)
        net = thaw(values)
        seen["taps"] = dict(getattr(net, "taps", {}))
        channels = getattr(net, "in_channels", 3)
        return apply(values, jnp.zeros((1, *input_size, channels))).logits_native

    closed, native = jax.make_jaxpr(run, return_shape=True)(params, stats)
    return ModelInfo(
        name=name or "model",
        parameters=sum(math.prod(p.shape) for p in jax.tree.leaves(params)),
        multiply_adds=_count(closed.jaxpr),
        input_size=input_size,
        output_size=tuple(native.shape[1:-1]),
        taps=seen["taps"],
    )


def info_table(
    input_size: tuple[int, int] = (512, 1024), *, num_classes: int = 19
) -> list[ModelInfo]:
    """Return the facts of every network at full width.

    A network that does not take this size is counted at the nearest one it takes.
    """
    rows = []
    for name in list_models():
        model = SourceModel(*abstract_model(name, num_classes=num_classes))
        size = thaw(model).native_size.nearest(input_size)
        rows.append(model_info(model, size, name=name))
    return rows


def count_multiply_adds(function: Callable[..., Any], *args: Any) -> int:
    """Return the multiply-adds of the convolutions and matrix products of a call.

    Interpolation and adaptive pooling, written as matrix products, are left out.
    """
    return _count(jax.make_jaxpr(function)(*args).jaxpr)


def _count(jaxpr: Any) -> int:
    total = 0
    for eqn in jaxpr.eqns:
        if RESIZING in str(eqn.source_info.name_stack):
            continue
        if eqn.primitive.name == "conv_general_dilated":
            total += _convolution(eqn)
        elif eqn.primitive.name == "dot_general":
            total += _product(eqn)
        inner = sum(_count(part) for part in _inner(list(eqn.params.values())))
        total += inner * int(eqn.params.get("length", 1))  # of a scan
    return total


def _inner(values: Any) -> Iterator[Any]:
    """Yield the programs among the parameters of an equation."""
    for value in values:
        if isinstance(value, list | tuple):
            yield from _inner(value)
        elif hasattr(value, "eqns"):
            yield value
        elif hasattr(value, "jaxpr"):
            yield value.jaxpr


def _convolution(eqn: Any) -> int:
    """Count output values times kernel values per output channel.

    In a transposed convolution all but one in `lhs_dilation` inputs are zero.
    """
    kernel = eqn.invars[1].aval.shape
    channels = kernel[eqn.params["dimension_numbers"].rhs_spec[0]]
    zeros = math.prod(eqn.params["lhs_dilation"])
    out = math.prod(eqn.outvars[0].aval.shape)
    return out * math.prod(kernel) // channels // zeros


def _product(eqn: Any) -> int:
    contracted, _ = eqn.params["dimension_numbers"]
    left = eqn.invars[0].aval.shape
    return math.prod(eqn.outvars[0].aval.shape) * math.prod(
        left[axis] for axis in contracted[0]
    )

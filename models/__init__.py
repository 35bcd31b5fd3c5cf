"""Networks by name: the only registry."""

from __future__ import annotations

import inspect
from typing import Any

import jax
from flax import nnx
from jaxtyping import PRNGKeyArray

from trfjax.models.bisenet import BiSeNet
from trfjax.models.bisenet_official import BiSeNetOfficial
from trfjax.models.conv4 import Conv4
from trfjax.models.deeplab import DeepLab
from trfjax.models.fcn import FCN8s
from trfjax.models.frrn import FRRN
from trfjax.models.lenet import LeNet
from trfjax.models.pspnet import PSPNet
from trfjax.models.resnet import ResNet
from trfjax.models.segnet import SegNet
from trfjax.models.unet import UNet
from trfjax.state import SourceModel, freeze

# A name, its class, and the options that the name settles.
REGISTRY: dict[str, tuple[Any, dict[str, Any]]] = {
    "bisenet": (BiSeNet, {}),
    "bisenet_official": (BiSeNetOfficial, {}),
    "conv4": (Conv4, {}),
    "deeplabv2": (DeepLab, {}),
    "fcn8s": (FCN8s, {}),
    "frrn_a": (FRRN, {"model": "a"}),
    "frrn_b": (FRRN, {"model": "b"}),
    "lenet": (LeNet, {}),
    "pspnet": (PSPNet, {}),
    "resnet18": (ResNet, {"depth": 18}),
    "resnet101": (ResNet, {"depth": 101}),
    "segnet": (SegNet, {}),
    "unet": (UNet, {}),
}


def list_models() -> list[str]:
    """Return the names `create_model` knows."""
    return sorted(REGISTRY)


def model_options(name: str) -> list[str]:
    """Return the options of `create_model` that a network knows."""
    build, fixed = REGISTRY[name]
    arguments = inspect.signature(build.__init__).parameters
    return sorted(set(arguments) - {"self", "rngs", *fixed})


def create_model(
    name: str,
    *,
    num_classes: int,
    width: int | None = None,
    key: PRNGKeyArray | None = None,
    **config: Any,
) -> SourceModel:
    """Build a network with fresh weights.

    Args:
        name: one of `list_models()`.
        num_classes: channels of the logits.
        width: base width; the published one by default.
        key: where the initial weights come from; `jax.random.key(0)` by default.
        **config: the options of that network, such as `variant`.

    Returns:
        The network as a value, for `trfjax.state.apply` and `apply_train`.
    """
    if name not in REGISTRY:
        raise ValueError(
            f"unknown model {name!r}; available: {', '.join(list_models())}"
        )
    build, fixed = REGISTRY[name]
    known = model_options(name)
    unknown = sorted(set(config) - set(known))
    if unknown:
        raise TypeError(f"{name} has no option {unknown}; it knows: {', '.join(known)}")
    for argument, value in (("num_classes", num_classes), ("width", width)):
        if value is not None and value < 1:
            raise ValueError(f"{argument} must be at least 1, got {value}")
    key = jax.random.key(0) if key is None else key
    options = fixed | config | {"width": width}
    return freeze(build(num_classes, rngs=nnx.Rngs(key), **options))


def abstract_model(name: str, **config: Any) -> tuple[Any, Any, nnx.GraphDef[Any]]:
    """Return parameters and statistics as shapes, and the structure of a network.

    Takes the arguments of `create_model`; nothing is allocated.
    """
    graphdefs = []

    def build() -> tuple[Any, Any]:
        model = create_model(name, **config)
        graphdefs.append(model.graphdef)
        return model.params, model.stats

    params, stats = jax.eval_shape(build)
    return params, stats, graphdefs[0]


__all__ = ["abstract_model", "create_model", "list_models", "model_options"]

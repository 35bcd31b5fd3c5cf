"""A network as a value: weights and statistics are leaves, structure is static."""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any

import jax
from flax import nnx
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from trfjax.typing import IGNORE


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Output:
    """The output of every network, in training and in evaluation alike."""

    logits: Any  # (n, h, w, classes) at input size, or (n, classes)
    logits_native: (
        Array  # before the last fixed resize; the same array if there is none
    )
    features: Any  # the penultimate map or vector
    aux: tuple[Any, ...] = ()  # auxiliary logits, when asked for
    levels: dict[str, Any] = dataclasses.field(default_factory=dict)  # asked-for taps


@dataclasses.dataclass(frozen=True)
class Tap:
    """A declared feature map of a network."""

    channels: int
    stride: int  # input pixels per cell, nominal


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SourceModel:
    """A network as a value; stacked models of one architecture go through `vmap`."""

    params: Any
    stats: Any  # batch statistics
    graphdef: nnx.GraphDef[Any] = dataclasses.field(metadata=dict(static=True))


@dataclasses.dataclass(frozen=True)
class ModelCard:
    """The facts that travel with a trained network.

    Images are RGB in `[0, 1]`; the network sees `(image - mean) / std`.
    """

    name: str
    architecture: str  # the name given to `create_model`
    config: dict[str, Any]  # the arguments given to `create_model`
    class_names: tuple[str, ...]
    input_size: tuple[int, int]  # height, width
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    ignore: int = IGNORE
    trained_on: str = ""


@dataclasses.dataclass(frozen=True)
class TrainedModel:
    """A network with its card: what `train` returns and `rank` takes."""

    model: SourceModel
    card: ModelCard

    def __repr__(self) -> str:
        card = self.card
        height, width = card.input_size
        of = f", trained on {card.trained_on}" if card.trained_on else ""
        return (
            f"<TrainedModel {card.name}: {card.architecture}, {len(card.class_names)} "
            f"classes, images of {height} x {width}{of}>"
        )

    def predict(self, images: Any, **options: Any) -> Any:
        """Return what the network says of images; see `trfjax.predict`."""
        # By its public name: the rooms above import this one.
        return importlib.import_module("trfjax").predict(self, images, **options)


def freeze(net: nnx.Module) -> SourceModel:
    """Turn a freshly built module into a value."""
    graphdef, params, stats = nnx.split(net, nnx.Param, ...)
    return SourceModel(nnx.as_pure(params), nnx.as_pure(stats), graphdef)


def thaw(model: SourceModel, *, train: bool = False) -> Any:
    """Rebuild the module, for one call or to read its attributes."""
    net = nnx.merge(model.graphdef, model.params, model.stats)
    return nnx.view(
        net,
        raise_if_not_found=False,  # a network may have no dropout and no batch norm
        deterministic=not train,
        use_running_average=not train,
    )


def apply(
    model: SourceModel,
    x: Float[Array, "b h w c"],
    *,
    aux: bool = False,
    taps: tuple[str, ...] = (),
) -> Output:
    """Run a network in evaluation mode."""
    return thaw(model)(x, aux=aux, taps=taps)


def apply_train(
    model: SourceModel,
    x: Float[Array, "b h w c"],
    *,
    aux: bool = False,
    key: PRNGKeyArray,
) -> tuple[Output, PyTree[Array]]:
    """Run a network in training mode; return its output and the new statistics."""
    net = thaw(model, train=True)
    output = net(x, aux=aux, rngs=nnx.Rngs(key))
    return output, nnx.as_pure(nnx.state(net, nnx.Not(nnx.Param)))


def taps(model: SourceModel) -> dict[str, Tap]:
    """Return the feature maps a network declares."""
    return dict(thaw(model).taps)


def head_layers(model: SourceModel) -> tuple[str, ...]:
    """Return the paths of the layers whose shapes depend on the number of classes."""
    net = thaw(model)
    try:
        return tuple(net.head_layers)
    except (AttributeError, NotImplementedError):
        raise ValueError(
            f"{type(net).__name__} does not say which layers depend on the classes: "
            'declare `head_layers` on it, a tuple of paths such as ("head",)'
        ) from None


def level_taps(model: SourceModel) -> tuple[str, ...]:
    """Return the taps that feature space `levels` reads."""
    return tuple(thaw(model).level_taps)

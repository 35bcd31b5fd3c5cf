"""The layers of a network in the order of the data, and a head for other classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, PRNGKeyArray, PyTree

from trfjax.state import SourceModel, apply, freeze, head_layers, thaw
from trfjax.training.recipe import layer_of
from trfjax.trees import flatten, leaf_path

Rebuild = Callable[[int], SourceModel]  # number of classes -> a fresh network
LAST = (nnx.Linear, nnx.Conv)  # layers that can get another number of outputs
MODES = ("full", "head", "last-<k>", "norm")


def layer_order(model: SourceModel, image: tuple[int, ...]) -> list[str]:
    """Return the paths of the layers, in the order the logits need them.

    Args:
        model: the network.
        image: shape of one image, `(h, w, c)`.
    """
    pairs, structure = jax.tree_util.tree_flatten_with_path(model.params)

    def logits(leaves: list[Array]) -> Array:
        params = jax.tree.unflatten(structure, leaves)
        network = dataclasses.replace(model, params=params)
        return apply(network, jnp.zeros((2, *image))).logits

    program = jax.make_jaxpr(logits)([leaf for _, leaf in pairs]).jaxpr
    names = {
        id(variable): layer_of(keys)
        for variable, (keys, _) in zip(program.invars, pairs, strict=True)
    }
    used = [id(v) for equation in program.eqns for v in equation.invars]
    return list(dict.fromkeys(names[i] for i in used if i in names))


def trainable_layers(
    model: SourceModel, image: tuple[int, ...], mode: str, *, head: frozenset[str]
) -> frozenset[str] | None:
    """Return the paths of the layers that a mode of fine-tuning moves; None: all.

    Args:
        model: the network.
        image: shape of one image.
        mode: "full"; "head", the layers that depend on the classes; "last-<k>", the
            last k layers with a kernel and the norms after the first of them; "norm",
            the scales and shifts of the norms.
        head: layers that are new, which every mode moves.

    Raises:
        ValueError: an unknown mode, more layers than there are, or no norms.
    """
    if mode == "full":
        return None
    if mode == "head":
        return frozenset(head_layers(model)) | head
    order = layer_order(model, image)
    leaves = _leaf_names(model.params)
    if mode == "norm":
        norms = {name for name in order if "scale" in leaves[name]}
        if not norms:
            raise ValueError("mode 'norm': this network has no norms with a scale")
        return frozenset(norms) | head
    kernels = [i for i, name in enumerate(order) if "kernel" in leaves[name]]
    count = _count(mode, len(kernels))
    return frozenset(order[kernels[-count] :]) | head


def _count(mode: str, most: int) -> int:
    kind, _, number = mode.partition("-")
    if kind != "last" or not number.isdigit():
        raise ValueError(f"unknown mode {mode!r}; available: {', '.join(MODES)}")
    if not 1 <= int(number) <= most:
        raise ValueError(f"mode {mode!r}: the network has {most} layers with a kernel")
    return int(number)


def with_new_head(
    model: SourceModel,
    num_classes: int,
    image: tuple[int, ...],
    *,
    rebuild: Rebuild | None = None,
    key: PRNGKeyArray,
) -> tuple[SourceModel, frozenset[str]]:
    """Return the network with fresh last layers for another number of classes.

    The network declares which layers depend on the classes. Without `rebuild` each of
    them gets another number of outputs, which is enough where none of them reads
    another one. With it, they come from the rebuilt network.

    Args:
        model: the network; left as it is.
        num_classes: classes of the new head.
        image: shape of one image.
        rebuild: returns a fresh network for a number of classes.
        key: where the new weights are drawn; a rebuilt head brings its own.

    Returns:
        The network, and the paths of its new layers.

    Raises:
        ValueError: a network that needs `rebuild`, or that declares no head.
    """
    if rebuild is not None:
        return _transplant(model, rebuild(num_classes))
    head = head_layers(model)
    # The first layer draws from the key itself, further ones from keys derived of it.
    keys = {
        name: jax.random.fold_in(key, i) if i else key for i, name in enumerate(head)
    }
    draw = jax.nn.initializers.lecun_normal()

    def fresh(path: tuple[Any, ...], leaf: Array) -> Array:
        layer = layer_of(path)
        if layer not in keys:
            return leaf
        shape = (*leaf.shape[:-1], num_classes)
        if leaf.ndim == 1:
            return jnp.zeros(shape, leaf.dtype)
        return draw(keys[layer], shape, leaf.dtype)

    params = jax.tree_util.tree_map_with_path(fresh, model.params)
    graphdef = _with_outputs(model, head, num_classes)
    new = SourceModel(params, model.stats, graphdef)
    _check_head(new, num_classes, image)
    return new, frozenset(head)


def _with_outputs(
    model: SourceModel, head: tuple[str, ...], num_classes: int
) -> nnx.GraphDef[Any]:
    """Return the structure in which some layers have another number of outputs."""
    net = thaw(model, train=True)  # the switches as a fresh network has them
    for path in head:
        layer = _layer(net, path)
        if not isinstance(layer, LAST):
            raise _not_enough(num_classes, f"{path!r} is a {type(layer).__name__}")
        layer.out_features = num_classes
        if isinstance(layer, nnx.Conv):
            layer.kernel_shape = (*layer.kernel_shape[:-1], num_classes)
    return freeze(net).graphdef


def _layer(net: nnx.Module, path: str) -> Any:
    layer: Any = net
    for part in path.split("/"):
        layer = layer[int(part)] if part.isdigit() else getattr(layer, part)
    return layer


def has_plain_head(model: SourceModel) -> bool:
    """Say whether `with_new_head` needs no `rebuild` for a network that declares it."""
    net = thaw(model)
    return all(isinstance(_layer(net, path), LAST) for path in head_layers(model))


def _not_enough(num_classes: int, problem: str) -> ValueError:
    return ValueError(
        f"new last layers are not enough for {num_classes} classes in this network "
        f"({problem}). Pass rebuild=, a function from the number of classes to a "
        "fresh network of the same kind."
    )


def _check_head(model: SourceModel, num_classes: int, image: tuple[int, ...]) -> None:
    batch = jax.ShapeDtypeStruct((2, *image), "float32")
    problem = "its parts do not fit together"
    try:
        sizes = {
            logits.shape[-1] for logits in jax.eval_shape(_all_logits, model, batch)
        }
        if sizes == {num_classes}:
            return
        problem = f"it returns logits of {sorted(sizes)} classes"
    except (TypeError, ValueError) as error:
        problem = str(error).splitlines()[0]
    raise _not_enough(num_classes, problem)


def _all_logits(model: SourceModel, images: Array) -> tuple[Array, ...]:
    output = apply(model, images, aux=True)
    return output.logits, *output.aux


def _transplant(
    model: SourceModel, fresh: SourceModel
) -> tuple[SourceModel, frozenset[str]]:
    """Take the head from a fresh network and everything else from the model."""
    head = frozenset(head_layers(fresh))
    old = flatten(model)

    def choose(path: tuple[Any, ...], leaf: Array) -> Array:
        if layer_of(path[1:]) in head:  # without "params" or "stats"
            return leaf
        kept = old.get(leaf_path(path))
        if kept is None or kept.shape != leaf.shape:
            raise ValueError(
                f"rebuild: gives another kind of network: {leaf_path(path)!r} does "
                "not fit"
            )
        return kept

    return jax.tree_util.tree_map_with_path(choose, fresh), head


def _leaf_names(params: PyTree) -> dict[str, set[str]]:
    """Return, for every layer, the names of its arrays."""
    found: dict[str, set[str]] = {}
    for path in flatten(params):
        layer, _, name = path.rpartition("/")
        found.setdefault(layer, set()).add(name)
    return found

"""The layers of a network in the order of the data, and a head for other classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray, PyTree

from trfjax.state import SourceModel, apply, freeze, thaw
from trfjax.training.recipe import layer_of
from trfjax.trees import flatten

Rebuild = Callable[[int], SourceModel]  # number of classes -> a fresh network
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
        mode: "full"; "head", the last layer; "last-<k>", the last k layers with a
            kernel and the norms after the first of them; "norm", the scales and
            shifts of the norms.
        head: layers that are new, which every mode moves.

    Raises:
        ValueError: an unknown mode, more layers than there are, or no norms.
    """
    if mode == "full":
        return None
    order = layer_order(model, image)
    leaves = _leaf_names(model.params)
    if mode == "norm":
        norms = {name for name in order if "scale" in leaves[name]}
        if not norms:
            raise ValueError("mode 'norm': this network has no norms with a scale")
        return frozenset(norms) | head
    kernels = [i for i, name in enumerate(order) if "kernel" in leaves[name]]
    count = 1 if mode == "head" else _count(mode, len(kernels))
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

    Without `rebuild` the network's last layer is widened or narrowed, which is enough
    where it alone depends on the classes. With it, every layer whose shape depends on
    the number of classes comes from the rebuilt network.

    Args:
        model: the network; left as it is.
        num_classes: classes of the new head.
        image: shape of one image.
        rebuild: returns a fresh network for a number of classes.
        key: where the new weights are drawn; a rebuilt head brings its own.

    Returns:
        The network, and the paths of its new layers.

    Raises:
        ValueError: a network that needs `rebuild`.
    """
    if rebuild is not None:
        return _transplant(model, rebuild, num_classes)
    leaves = _leaf_names(model.params)
    order = layer_order(model, image)
    head = next(name for name in reversed(order) if "kernel" in leaves[name])
    net = thaw(model, train=True)  # the switches as a fresh network has them
    layer = net
    for part in head.split("/"):
        layer = layer[int(part)] if part.isdigit() else getattr(layer, part)
    layer.out_features = num_classes
    if hasattr(layer, "kernel_shape"):
        layer.kernel_shape = (*layer.kernel_shape[:-1], num_classes)
    graphdef = freeze(net).graphdef

    def fresh(keys: tuple[Any, ...], leaf: Array) -> Array:
        if layer_of(keys) != head:
            return leaf
        shape = (*leaf.shape[:-1], num_classes)
        if leaf.ndim == 1:
            return jnp.zeros(shape, leaf.dtype)
        draw = jax.nn.initializers.lecun_normal()
        return draw(key, shape, leaf.dtype)

    params = jax.tree_util.tree_map_with_path(fresh, model.params)
    new = SourceModel(params, model.stats, graphdef)
    _check_head(new, num_classes, image)
    return new, frozenset([head])


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
    raise ValueError(
        f"a new last layer is not enough for {num_classes} classes in this network "
        f"({problem}). Pass rebuild=, a function from the number of classes to a "
        "fresh network of the same kind."
    )


def _all_logits(model: SourceModel, images: Array) -> tuple[Array, ...]:
    output = apply(model, images, aux=True)
    return output.logits, *output.aux


def _transplant(
    model: SourceModel, rebuild: Rebuild, num_classes: int
) -> tuple[SourceModel, frozenset[str]]:
    """Keep every layer whose shape does not depend on the number of classes."""
    fresh = rebuild(num_classes)
    other = jax.eval_shape(lambda: rebuild(num_classes + 1))
    old, new, varied = map(flatten, (model, fresh, other))
    head = {
        path.rpartition("/")[0]
        for path, leaf in new.items()
        if leaf.shape != varied[path].shape
    }
    differ = [
        path
        for path, leaf in new.items()
        if path.rpartition("/")[0] not in head
        and (path not in old or old[path].shape != leaf.shape)
    ]
    if differ:
        raise ValueError(
            f"rebuild: gives another kind of network: {differ[0]!r} does not fit"
        )
    leaves = [
        leaf if path.rpartition("/")[0] in head else old[path]
        for path, leaf in new.items()
    ]
    built = jax.tree.unflatten(jax.tree.structure(fresh), leaves)
    layers = {path.removeprefix("params/") for path in head}
    return built, frozenset(layers)


def _leaf_names(params: PyTree) -> dict[str, set[str]]:
    """Return, for every layer, the names of its arrays."""
    found: dict[str, set[str]] = {}
    for path in flatten(params):
        layer, _, name = path.rpartition("/")
        found.setdefault(layer, set()).add(name)
    return found

"""Trees of arrays as flat mappings from path to leaf, for files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from trfjax.files import digest


def leaf_path(keys: tuple[Any, ...]) -> str:
    """Return a path such as `encoder/0/conv1/kernel`."""
    return jax.tree_util.keystr(keys, simple=True, separator="/")


def flatten(tree: PyTree) -> dict[str, Any]:
    """Return the leaves of a tree by path."""
    pairs, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {leaf_path(keys): leaf for keys, leaf in pairs}


def unflatten(template: PyTree, leaves: Mapping[str, Any]) -> PyTree:
    """Fill a tree of the template's structure, dtypes and shapes; the inverse.

    Raises:
        ValueError: a leaf that is missing, unknown, or of another shape.
    """
    expected = flatten(template)
    missing = sorted(set(expected) - set(leaves))
    unknown = sorted(set(leaves) - set(expected))
    if missing or unknown:
        raise ValueError(
            f"{len(missing)} arrays are missing (first: {missing[:3]}) and "
            f"{len(unknown)} are unknown (first: {unknown[:3]})"
        )
    filled = []
    for name, leaf in expected.items():
        value = np.asarray(leaves[name])
        # A file may hold a scalar as one entry.
        if value.size != leaf.size or (leaf.ndim and value.shape != leaf.shape):
            raise ValueError(
                f"array {name!r} has shape {value.shape}, expected {leaf.shape}"
            )
        filled.append(jnp.asarray(value.reshape(leaf.shape), leaf.dtype))
    return jax.tree.unflatten(jax.tree.structure(template), filled)


def arrays_digest(arrays: Mapping[str, np.ndarray]) -> str:
    """Return a content hash of named arrays, whatever their order."""
    return digest(*(part for name in sorted(arrays) for part in (name, arrays[name])))

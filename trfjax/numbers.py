"""Counts, keys, ignored labels and tensors of any type, checked and made plain."""

from __future__ import annotations

import operator
from collections.abc import Collection
from typing import Any

import jax
import numpy as np
from jax.core import Tracer
from jaxtyping import PRNGKeyArray


def is_traced(*arrays: Any) -> bool:
    """Say whether any array is abstract, so that its values cannot be looked at."""
    return any(isinstance(array, Tracer) for array in arrays)


def as_count(name: str, value: Any, *, least: int = 1) -> int:
    """Return a whole number of any integer type as an int.

    Raises:
        TypeError: no integer: a float, a bool, text.
        ValueError: less than `least`.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool | np.bool_):
        raise TypeError(f"{name}: expected an int, got {value!r}")
    if number < least:
        raise ValueError(f"{name}: {number} is less than {least}")
    return number


def as_key(key: Any) -> PRNGKeyArray:
    """Return a JAX key, made of an integer of any type unless it is one already.

    Raises:
        TypeError: neither a key nor an integer.
    """
    if isinstance(key, jax.Array) and (
        jax.dtypes.issubdtype(key.dtype, jax.dtypes.prng_key) or key.ndim
    ):
        return key
    return jax.random.key(as_count("key", key, least=-(2**63)))


def as_ignored(ignore: Any) -> np.ndarray:
    """Return the labels that count for nothing, `(k,)` int64.

    Raises:
        TypeError: neither an integer nor several.
    """
    scalar = getattr(ignore, "ndim", 1) == 0 or isinstance(ignore, str | bytes)
    several = isinstance(ignore, Collection) and not scalar
    values = list(ignore) if several else [ignore]
    whole = [as_count("ignore", value, least=-(2**63)) for value in values]
    return np.asarray(whole, np.int64)


def of_tensor(tensor: Any) -> np.ndarray:
    """Return a tensor as NumPy knows it: what is half of a kind becomes float32."""
    if getattr(tensor, "is_sparse", False):
        tensor = tensor.to_dense()
    try:
        return np.asarray(tensor)
    except TypeError:  # bfloat16 and the kinds of float8
        array = np.asarray(tensor.float())
        import ml_dtypes

        kind = getattr(ml_dtypes, str(tensor.dtype).removeprefix("torch."), None)
        return array if kind is None else array.astype(kind)

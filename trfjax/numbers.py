"""Counts, keys, ignored labels and tensors of any type, checked and made plain."""

from __future__ import annotations

import math
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


def as_count(name: str, value: Any, *, least: int = 1, most: int | None = None) -> int:
    """Return a whole number of any integer type as an int.

    Raises:
        TypeError: no integer: a float, a bool, text.
        ValueError: less than `least` or more than `most`.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool | np.bool_):
        raise TypeError(f"{name}: expected an int, got {value!r}")
    if number < least:
        raise ValueError(f"{name}: {number} is less than {least}")
    if most is not None and number > most:
        raise ValueError(f"{name}: {number} is more than {most}")
    return number


def as_seed(name: str, value: Any) -> int:
    """Return a seed as an int: what a key of JAX holds, 0 to 2^32 - 1.

    JAX itself takes more and looks at the last 32 bits: 2^32 would be 0.

    Raises:
        TypeError: no integer.
        ValueError: outside.
    """
    return as_count(name, value, least=0, most=2**32 - 1)


def as_real(
    name: str,
    value: Any,
    *,
    above: int | float | None = None,
    least: int | float | None = None,
    most: int | float | None = None,
) -> float:
    """Return a finite number of any type as a float.

    Raises:
        TypeError: no number: text, a bool, an array of several.
        ValueError: NaN, infinite, or outside the bounds.
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = None
    if number is None or isinstance(value, str | bytes | bool | np.bool_):
        raise TypeError(f"{name}: expected a number, got {value!r}")
    if not math.isfinite(number):
        raise ValueError(f"{name}: {value} is not finite")
    if above is not None and not number > above:
        least_words = "positive" if above == 0 else f"above {above:g}"
        raise ValueError(f"{name}: {value} is not {least_words}")
    if least is not None and number < least:
        raise ValueError(f"{name}: {value} is less than {least:g}")
    if most is not None and number > most:
        raise ValueError(f"{name}: {value} is more than {most:g}")
    return number


def as_key(key: Any) -> PRNGKeyArray:
    """Return a JAX key, made of an integer of any type unless it is one already.

    Raises:
        TypeError: neither a key nor an integer.
        ValueError: an integer of more than 32 bits.
    """
    if isinstance(key, jax.Array) and (
        jax.dtypes.issubdtype(key.dtype, jax.dtypes.prng_key) or key.ndim
    ):
        return key
    # JAX looks at the last 32 bits, and says nothing of the others.
    return jax.random.key(as_count("key", key, least=-(2**31), most=2**32 - 1))


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

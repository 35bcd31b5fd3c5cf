"""The door: what every public function checks before the jitted part begins.

Values are checked when they are concrete. Under `jit`, `vmap` or `grad` an argument
is a tracer, and only rank, shape and dtype can be checked.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from trfjax.numbers import as_count, as_ignored, of_tensor
from trfjax.numbers import is_traced as is_traced
from trfjax.shapes import flatten
from trfjax.typing import IGNORE, AnyArray, ArrayInput, Count, Features, Labels, Weights


@dataclasses.dataclass(frozen=True)
class Rows:
    """Labelled instances, one a row; a row of weight 0 counts for nothing."""

    features: Features
    labels: Labels  # in [0, num_classes)
    weights: Weights  # not normalised: 1 for every valid row unless given
    num_classes: int
    classes: tuple[int, ...]  # the ids the indices stand for


def to_array(name: str, value: ArrayInput) -> AnyArray:
    """Accept a NumPy, JAX or torch array; refuse objects, complex numbers and text.

    Half precision of any kind is accepted, also where NumPy itself has no such type.
    """
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise TypeError(
            f"{name}: has masked values. Fill them, or label them with the ignore value"
        )
    if isinstance(value, jax.Array | np.ndarray):
        array = np.asarray(value) if isinstance(value, np.ndarray) else value
    elif hasattr(value, "detach"):  # torch, also on another device or with a gradient
        array = of_tensor(value.detach().cpu())
    else:
        array = np.asarray(value)
    kinds = (np.floating, np.integer, np.bool_)
    if not any(jax.dtypes.issubdtype(array.dtype, kind) for kind in kinds):
        raise TypeError(f"{name}: dtype {array.dtype} is not a real number type")
    return array


def as_float(name: str, value: ArrayInput, *, check: bool = True) -> AnyArray:
    """Return a float32 array, or float64 when x64 is enabled; finite values only.

    Raises:
        ValueError: NaN or infinity, with their number and the first row they are in.
    """
    array = to_array(name, value)
    dtype = jax.dtypes.canonicalize_dtype(np.float64)
    if array.dtype != dtype:
        with np.errstate(over="ignore"):  # the check below finds the infinity
            array = array.astype(dtype)
    if check and not is_traced(array):
        _check_finite(name, array)
    return array


def _check_finite(name: str, array: AnyArray) -> None:
    if np.isfinite(np.sum(np.asarray(array), dtype=np.float64)):
        return
    bad = ~np.isfinite(np.asarray(array))
    if not bad.any():
        return  # the sum overflowed, the values are finite
    first = tuple(int(i) for i in np.argwhere(bad)[0])
    raise ValueError(
        f"{name}: {int(bad.sum())} values are NaN or infinite, the first at index "
        f"{first}. Remove those rows, or label them with the ignore value."
    )


def as_labels(name: str, value: ArrayInput) -> AnyArray:
    """Return integer labels.

    Raises:
        TypeError: labels that are not integers.
    """
    array = to_array(name, value)
    if jax.dtypes.issubdtype(array.dtype, np.integer):
        return array if array.dtype.kind in "iu" else array.astype(np.int8)  # int4
    if not is_traced(array) and array.dtype != bool:
        numbers = np.asarray(array)
        numbers = numbers if numbers.dtype.kind == "f" else numbers.astype(np.float32)
        exact = 2.0 ** (np.finfo(numbers.dtype).nmant + 1)  # above it ids run together
        if np.array_equal(numbers, np.round(numbers)) and (
            not numbers.size or np.abs(numbers).max() <= exact
        ):
            return numbers.astype(np.int64)
    raise TypeError(f"{name}: labels must be integers, got {array.dtype}")


def labelled_rows(
    features: ArrayInput,
    labels: ArrayInput,
    *,
    names: tuple[str, str] = ("features", "labels"),
    num_classes: Count | None,
    ignore: int | Collection[int] = IGNORE,
    weights: ArrayInput | None = None,
) -> Rows:
    """Check features and labels and bring them to the form the scores work on.

    Ignored rows keep their place with weight 0 and zero features.

    Args:
        features: `(n, d)` rows or `(b, h, w, d)` maps.
        labels: integer ids, `(n,)` or `(b, h, w)`.
        names: what messages call the two.
        num_classes: None: the ids are names, re-indexed over the classes present;
            a number: every id that is not ignored lies in `[0, num_classes)`.
        ignore: the id, or ids, that count for nothing.
        weights: non-negative weight of every instance, in the shape of the labels.

    Raises:
        TypeError, ValueError: whatever cannot be scored, naming the argument.
    """
    values, ids = flatten(
        names, as_float(names[0], features, check=False), as_labels(names[1], labels)
    )
    counts = row_weights(names[1], ids, ignore, weights)
    indices, classes = index_labels(names[1], ids, counts, num_classes, ignore)
    if is_traced(values, counts):
        values = jnp.where(jnp.asarray(counts)[:, None] > 0, values, 0)
    else:
        values = np.where(np.asarray(counts)[:, None] > 0, np.asarray(values), 0)
        _check_finite(names[0], values)
    return Rows(
        jnp.asarray(values),
        jnp.asarray(indices, jnp.int32),
        jnp.asarray(counts, values.dtype),
        len(classes),
        classes,
    )


def row_weights(
    name: str,
    ids: AnyArray,
    ignore: int | Collection[int],
    weights: ArrayInput | None = None,
) -> AnyArray:
    """Return the weight of every instance: 0 where its label is ignored.

    Raises:
        ValueError: weights that do not fit or are negative; nothing left to count.
    """
    skipped = as_ignored(ignore)
    counts = np.ones(ids.shape, jax.dtypes.canonicalize_dtype(np.float64))
    if weights is not None:
        counts = as_float("weights", weights).reshape(-1)
        if counts.shape != ids.shape:
            raise ValueError(
                f"weights: {counts.size} weights for {ids.size} instances of {name}"
            )
    traced = is_traced(ids, counts)
    xp = jnp if traced else np
    if traced:  # in the type of the ids, in which some can be none of them
        info = jnp.iinfo(ids.dtype)
        held = skipped[(skipped >= info.min) & (skipped <= info.max)]
        skipped = jnp.asarray(held, ids.dtype)
    left_out = xp.isin(ids, skipped)
    counts = xp.where(left_out, xp.zeros((), counts.dtype), counts)
    if traced:
        return counts
    if (np.asarray(counts) < 0).any():
        raise ValueError("weights: negative values")
    if not (np.asarray(counts) > 0).any():
        raise ValueError(
            f"{name}: nothing is left to score: all of the {ids.size} labels are "
            f"ignored (ignore={ignore}) or have weight 0"
        )
    return counts


def index_labels(
    name: str,
    ids: AnyArray,
    weights: AnyArray,
    num_classes: Count | None,
    ignore: int | Collection[int] = IGNORE,
    *,
    setting: str = "num_classes",
) -> tuple[AnyArray, tuple[int, ...]]:
    """Return class indices (0 where the weight is 0) and the ids they stand for.

    Messages call the number of classes `setting`.

    Raises:
        TypeError, ValueError: an id out of range, or a `num_classes` that is needed
            or is not a positive int.
    """
    if num_classes is not None:
        num_classes = as_count(setting, num_classes)
    if is_traced(ids, weights):
        if num_classes is None:
            raise ValueError(
                f"{setting}: needed under jit, where the ids in {name} are unknown"
            )
        return jnp.where(jnp.asarray(weights) > 0, ids, 0), tuple(range(num_classes))
    ids, valid = np.asarray(ids), np.asarray(weights) > 0
    if num_classes is None:
        classes = np.unique(ids[valid])
        indices = np.searchsorted(classes, ids).clip(0, len(classes) - 1)
        return np.where(valid, indices, 0), tuple(int(c) for c in classes)
    outside = valid & ((ids < 0) | (ids >= num_classes))
    if outside.any():
        at = int(np.argmax(outside))
        raise ValueError(
            f"{name}: value {int(ids[at])} at index {at} is outside "
            f"0..{num_classes - 1} ({setting}={num_classes}, ignore={ignore}). If "
            "these are label ids of another scheme, load them with the right labels= "
            "or pass a label map."
        )
    return np.where(valid, ids, 0), tuple(range(num_classes))


def safe_log(value: Array) -> Array:
    """Return log, and 0 with a zero derivative where the value is not positive."""
    positive = value > 0
    return jnp.where(positive, jnp.log(jnp.where(positive, value, 1)), 0)


def safe_divide(value: Array, by: Array) -> Array:
    """Return the quotient, and 0 with a zero derivative where the divisor is 0."""
    nonzero = by != 0
    return jnp.where(nonzero, value / jnp.where(nonzero, by, 1), 0)

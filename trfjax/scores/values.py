"""The door of scores with real-valued targets."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from trfjax.arrays import as_float, is_traced, labelled_rows
from trfjax.typing import ArrayInput, Features, Weights

LEFT_OUT = 1  # the label of an instance whose value is not known


def valued_rows(
    features: ArrayInput, targets: ArrayInput, weights: ArrayInput | None
) -> tuple[Features, Float[Array, "n p"], Weights]:
    """Return features, target columns and weights, one row an instance.

    A row with a NaN among its targets has weight 0 and zeros. Under `jit` values
    cannot be looked at, and all of them count unless `weights` says otherwise.

    Raises:
        TypeError, ValueError: whatever cannot be scored, naming the argument.
    """
    rows = as_float("features", features, check=False)
    values = as_float("targets", targets, check=False)
    if values.shape[:-1] != rows.shape[:-1]:
        values = values[..., None]
    if values.shape[:-1] != rows.shape[:-1] or not values.shape[-1]:
        raise ValueError(
            f"targets: shape {np.shape(targets)} does not fit features of shape "
            f"{rows.shape}; expected {rows.shape[:-1]}, or {(*rows.shape[:-1], 'p')}"
        )
    known = ~jnp.isnan(jnp.asarray(values)).any(axis=-1)
    if not is_traced(values) and np.isinf(np.asarray(values)).any():
        raise ValueError(
            "targets: infinite values; mark instances without a value by NaN"
        )
    labels = jnp.where(known, 0, LEFT_OUT)
    if not is_traced(values):
        labels = np.asarray(labels)
    found = labelled_rows(
        rows,
        labels,
        names=("features", "targets"),
        num_classes=1,
        weights=weights,
        ignore=LEFT_OUT,
    )
    columns = jnp.where(known[..., None], jnp.asarray(values), 0)
    return found.features, columns.reshape(-1, columns.shape[-1]), found.weights

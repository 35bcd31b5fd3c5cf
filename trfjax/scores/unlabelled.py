"""The door of scores that need no target labels."""

from __future__ import annotations

from collections.abc import Collection

import jax.numpy as jnp
import numpy as np

from trfjax.arrays import Rows, as_float, as_labels, labelled_rows, row_weights
from trfjax.typing import IGNORE, ArrayInput


def unlabelled_rows(
    name: str,
    values: ArrayInput,
    *,
    weights: ArrayInput | None,
    labels: ArrayInput | None = None,
    ignore: int | Collection[int] = IGNORE,
) -> Rows:
    """Check rows or maps and bring them to one row an instance.

    Args:
        name: what messages call the values.
        values: `(n, d)` rows or `(b, h, w, d)` maps.
        weights: non-negative weight of every instance; uniform when None.
        labels: ids, of which only the ignored ones are looked at; None for none.
        ignore: the id, or ids, that count for nothing.

    Raises:
        TypeError, ValueError: whatever cannot be scored, naming the argument.
    """
    values = as_float(name, values, check=False)
    if labels is None:
        counted = np.ones(values.shape[:-1], np.float32)
    else:
        counted = row_weights("labels", as_labels("labels", labels), ignore)
    return labelled_rows(
        values,
        jnp.where(jnp.asarray(counted) > 0, 0, IGNORE),
        names=(name, "labels"),
        num_classes=1,
        weights=weights,
        ignore=IGNORE,
    )

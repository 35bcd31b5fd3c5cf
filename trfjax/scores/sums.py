"""Sums over many instances, in float64 on the host, in two passes.

Sums in float32 drift with the number of instances: at ten million rows an H-score was
2 % off. From `MANY` rows on, scores of concrete arrays are taken from these sums.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from trfjax.arrays import Rows
from trfjax.numbers import is_traced

MANY = 2**16  # rows
PART = 2**17  # rows that are in memory as float64


@dataclasses.dataclass(frozen=True, eq=False)
class Sums:
    """Weighted sums of rows `x`, which were shifted and scaled first."""

    counts: Float[np.ndarray, " c"]  # weight by label
    sums: Float[np.ndarray, "c d"]  # of x, by label
    products: Float[np.ndarray, "d d"]  # of x x^T
    fourth: float  # of |x|^4
    factor: Float[np.ndarray, " d"]  # by which the columns were multiplied


def is_many(rows: Rows) -> bool:
    """Say whether a score is to be taken from sums on the host."""
    return len(rows.labels) >= MANY and not is_traced(
        rows.features, rows.labels, rows.weights
    )


def sums_of(rows: Rows, *, centred: bool, by_column: bool) -> Sums:
    """Return the sums of rows.

    Args:
        rows: of concrete arrays.
        centred: subtract the mean first; a column that only rounding varies is 0 then.
        by_column: divide every column by its largest size; else all by one number.
    """
    mean = _mean(rows) if centred else np.zeros(rows.features.shape[1])
    d, c = len(mean), rows.num_classes
    largest = np.zeros(d)
    for x, _, weights in _parts(rows):
        x = np.abs(x[weights > 0] - mean)
        largest = np.maximum(largest, x.max(axis=0, initial=0))
    if centred:
        noise = largest <= 4 * np.finfo(np.asarray(rows.features).dtype).eps * abs(mean)
        largest = np.where(noise, 0, largest)
    size = largest if by_column else np.full(d, largest.max())
    factor = np.where(largest > 0, 1 / np.where(size > 0, size, 1), 0)
    found = Sums(np.zeros(c), np.zeros((c, d)), np.zeros((d, d)), 0.0, factor)
    fourth = 0.0
    for x, labels, weights in _parts(rows):
        x = (x - mean) * factor
        weighted = x * weights[:, None]
        found.counts[:] += np.bincount(labels, weights, c)
        for k, column in enumerate(weighted.T):
            found.sums[:, k] += np.bincount(labels, column, c)
        found.products[:] += weighted.T @ x
        fourth += float(np.sum(weights * np.sum(x**2, axis=1) ** 2))
    return dataclasses.replace(found, fourth=fourth)


def _mean(rows: Rows) -> np.ndarray:
    total, mass = np.zeros(rows.features.shape[1]), 0.0
    for x, _, weights in _parts(rows):
        total += weights @ x
        mass += weights.sum()
    return total / mass


def _parts(rows: Rows) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield features, labels and weights of some rows after the others."""
    features, labels, weights = map(
        np.asarray, (rows.features, rows.labels, rows.weights)
    )
    for start in range(0, len(labels), PART):
        part = slice(start, start + PART)
        yield (
            features[part].astype(np.float64),
            labels[part],
            weights[part].astype(np.float64),
        )

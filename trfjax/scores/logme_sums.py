"""LogME from sums over images."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from trfjax.atoms.moments import Moments
from trfjax.scores.evidence import (
    Spectrum,
    best_ratio,
    evidence,
)
from trfjax.scores.whitening import default_rcond

TOGETHER = 16  # resamples worked on at a time


def spectrum_of(
    counts: np.ndarray, sums: np.ndarray, products: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return eigenvalues `(k,)`, `along` `(c, k)` and `rest` `(c,)` of sums."""
    values, vectors = np.linalg.eigh(products)
    # Rounding fakes eigenvalues below this; their directions hold nothing.
    kept = values > max(values[-1], 0) * default_rcond(len(values)) ** 2
    values, turned = values[kept][::-1], (sums @ vectors[:, kept])[:, ::-1]
    along = turned**2 / values
    rest = np.maximum(counts - along.sum(axis=1), 0)
    room = np.zeros((1 + len(along), len(kept)))  # one shape for all
    room[0, : len(values)], room[1:, : len(values)] = values, along
    return room[0], room[1:], rest


def logme_of_moments(
    moments: Moments, multiplicities: Float[np.ndarray, "b i"]
) -> Float[np.ndarray, " b"]:
    """LogME of all pixels of every resample; see `logme`.

    The decomposition is in float64.

    Args:
        moments: counts, sums and products of the features by image.
        multiplicities: how often every image counts in a resample.
    """
    found = []
    for counts, sums, products in zip(*moments.pooled(multiplicities), strict=True):
        values, along, rest = spectrum_of(counts, sums, products)
        found.append((values, along, rest, counts.sum(), counts > 0))
    if not found:
        return np.zeros(0)
    # What is left over of a last batch would be a program of its own: it is filled up.
    rows = np.minimum(np.arange(len(found) + -len(found) % TOGETHER), len(found) - 1)
    columns = [np.stack(part)[rows] for part in zip(*found, strict=True)]
    return np.asarray(_evidence_of(*columns), np.float64)[: len(found)]


@jax.jit
def _evidence_of(
    values: Array, along: Array, rest: Array, n: Array, present: Array
) -> Array:
    def one(parts: tuple[Array, ...]) -> Array:
        *spectrum, present = parts
        problem = Spectrum(*spectrum)
        value = evidence(problem, best_ratio(problem)[0])
        return jnp.sum(jnp.where(present, value, 0)) / present.sum()

    return jax.lax.map(one, (values, along, rest, n, present), batch_size=TOGETHER)

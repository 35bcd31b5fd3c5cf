"""Groups of weighted points, and what is summed over them."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from trfjax.atoms.search import centres_of, nearest_of

LLOYD = 10  # steps when atoms are made of finer atoms


def grouped(
    points: np.ndarray, weights: np.ndarray, count: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Group weighted points; return the group of each and the means, none empty."""
    places = np.asarray(points, np.float32)
    mass = np.asarray(weights / weights.sum(), np.float32)
    rng = np.random.default_rng([seed, 0xC0DE])
    centres = centres_of(places, mass, count=count, steps=LLOYD, rng=rng)
    index = nearest_of(places, centres)[0]
    # An atom whose pixels weigh nothing, of images left out, has no place in a mean.
    weights = np.asarray(weights, np.float64)
    weights = np.where(weights > 0, weights, weights.sum() * 1e-12)
    used, index = renumbered(index, count)
    return index, weighted_means(points, weights, index, len(used))


def weighted_means(
    points: np.ndarray, weights: np.ndarray, index: np.ndarray, count: int
) -> np.ndarray:
    """Return the weighted mean of every group, added up in float64."""
    mass = np.bincount(index, weights, count)
    sums = weighted_sums(points, weights, index, count)
    return (sums / mass[:, None]).astype(np.float32)


def weighted_sums(
    points: np.ndarray, weights: np.ndarray, index: np.ndarray, count: int
) -> np.ndarray:
    """Return the weighted sum of every group, `(count, d)`, in float64.

    In one pass: the row of each point is added to that of its group.
    """
    place = np.arange(len(points) + 1)
    weights = np.asarray(weights, np.float64)
    member = sparse.csc_array((weights, index, place), shape=(count, len(points)))
    return np.asarray(member @ points)


def renumbered(index: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which of `count` numbers occur, and the place of each entry among them.

    Like `np.unique` with its inverse, without sorting.
    """
    occurs = np.bincount(index, minlength=count) > 0
    return np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[index]


def over(sums: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """Return means of sums; 0 where there is no mass."""
    return (sums / np.where(mass > 0, mass, 1)).astype(np.float32)

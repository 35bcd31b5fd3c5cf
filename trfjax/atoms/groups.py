"""Groups of weighted points, and what is summed over them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from trfjax.atoms.kmeans import kmeans, nearest

LLOYD = 25  # steps when atoms are made of finer atoms


def grouped(
    points: np.ndarray, weights: np.ndarray, count: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Group weighted points; return the group of each and the means, none empty."""
    places = jnp.asarray(points, jnp.float32)
    mass = jnp.asarray(weights / weights.sum(), jnp.float32)
    centres = kmeans(places, mass, jax.random.key(seed), count=count, steps=LLOYD)
    index = np.asarray(nearest(places, centres)[0])
    # An atom whose pixels weigh nothing, of images left out, has no place in a mean.
    weights = np.asarray(weights, np.float64)
    weights = np.where(weights > 0, weights, weights.sum() * 1e-12)
    used, index = np.unique(index, return_inverse=True)
    return index, weighted_means(points, weights, index, len(used))


def weighted_means(
    points: np.ndarray, weights: np.ndarray, index: np.ndarray, count: int
) -> np.ndarray:
    """Return the weighted mean of every group, added up in float64."""
    mass = np.bincount(index, weights, count)
    sums = [np.bincount(index, weights * column, count) for column in points.T]
    return (np.stack(sums, axis=1) / mass[:, None]).astype(np.float32)


def over(sums: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """Return means of sums; 0 where there is no mass."""
    return (sums / np.where(mass > 0, mass, 1)).astype(np.float32)

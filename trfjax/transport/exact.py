"""The unregularised plan of equal-size uniform clouds: an assignment problem."""

from __future__ import annotations

import numpy as np

from trfjax.typing import AnyArray


def exact_joint(
    source: AnyArray,
    source_labels: AnyArray,
    target: AnyArray,
    target_labels: AnyArray,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return what is read off the exact plan, in float64 on the host.

    Args:
        source: `(n, d)` points of equal weight.
        source_labels: `(n, s)` rows that sum to 1.
        target: `(n, d)` points of equal weight.
        target_labels: `(n, t)` rows that sum to 1.

    Returns:
        `(s, t)` joint that sums to 1, `(n, s)` mass of every target point by source
        label, and the mean squared distance of matched pairs.
        Where several plans are optimal the one the solver finds is used.

    Raises:
        ValueError: clouds of different size.
    """
    from scipy.optimize import linear_sum_assignment

    x, y = (np.asarray(cloud, np.float64) for cloud in (source, target))
    if len(x) != len(y):
        raise ValueError(
            f"solver='exact' needs as many source as target points, got {len(x)} "
            f"and {len(y)}. Draw the same number from each side, or solve entropically."
        )
    shift = x.mean(axis=0)
    x, y = x - shift, y - shift
    cost = (x**2).sum(1)[:, None] + (y**2).sum(1)[None] - 2 * x @ y.T
    rows, columns = linear_sum_assignment(cost)
    shares = np.zeros((len(y), np.shape(source_labels)[1]))
    shares[columns] = np.asarray(source_labels, np.float64)[rows] / len(x)
    joint = shares.T @ np.asarray(target_labels, np.float64)
    return joint, shares, float(((x[rows] - y[columns]) ** 2).sum(axis=1).mean())

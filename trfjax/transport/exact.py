"""The unregularised plan of equal-size uniform clouds: an assignment problem."""

from __future__ import annotations

import numpy as np

from trfjax.typing import AnyArray


def exact_joint(
    source: AnyArray,
    source_labels: AnyArray,
    target: AnyArray,
    target_labels: AnyArray,
) -> tuple[np.ndarray, float]:
    """Return the label joint and the cost of the exact plan, in float64 on the host.

    Args:
        source: `(n, d)` points of equal weight.
        source_labels: `(n, s)` rows that sum to 1.
        target: `(n, d)` points of equal weight.
        target_labels: `(n, t)` rows that sum to 1.

    Returns:
        `(s, t)` joint that sums to 1, and the mean squared distance of matched pairs.
        Where several plans are optimal the one the solver finds is used.

    Raises:
        ValueError: clouds of different size.
    """
    from scipy.optimize import linear_sum_assignment

    x, y = (np.asarray(cloud, np.float64) for cloud in (source, target))
    if len(x) != len(y):
        raise ValueError(
            f"solver='exact' needs as many source as target points, got {len(x)} and "
            f"{len(y)}. Draw the same number from each side, or use the entropic solver."
        )
    shift = x.mean(axis=0)
    x, y = x - shift, y - shift
    cost = (x**2).sum(1)[:, None] + (y**2).sum(1)[None] - 2 * x @ y.T
    rows, columns = linear_sum_assignment(cost)
    ys, yt = np.asarray(source_labels)[rows], np.asarray(target_labels)[columns]
    joint = ys.astype(np.float64).T @ yt.astype(np.float64) / len(x)
    return joint, float(((x[rows] - y[columns]) ** 2).sum(axis=1).mean())

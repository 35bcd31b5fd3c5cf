"""Mixed models fitted by restricted likelihood."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize

# Logarithms of the variances of effects, in residual variances: from nothing to all.
BOUNDS = (-12.0, 8.0)
STARTS = ((0.0, 0.0), (-3.0, 2.0), (2.0, -3.0))


def variance_ratios(
    gram: Float[np.ndarray, "k k"],
    free: int,
    fixed: int,
    levels: tuple[int, int],
    effects: tuple[bool, bool],
) -> Float[np.ndarray, " q"]:
    """Return the variance of every estimate in residual variances, 0 for fixed ones.

    They maximise the restricted likelihood. With `W = [X, Z sqrt(ratio)]` and
    `C = W'W + diag(0, 1)`, minus twice its logarithm is, the residual variance put in,
    `(n - p) log s^2 + log det C` up to a constant. NumPy: the matrices are as small as
    there are names, and a jitted form took 20 times as long.

    Args:
        gram: `W'W` of the design and, last, what was measured.
        free: rows less the rank of the fixed part.
        fixed: columns of the fixed part, which come first.
        levels: how many sources and targets there are, whose columns come next.
        effects: whether they have effects.
    """

    def spread(logs: np.ndarray) -> np.ndarray:
        found = np.where(effects, np.exp(logs), 0.0)
        return np.concatenate([np.zeros(fixed), np.repeat(found, levels)])

    def criterion(logs: np.ndarray) -> float:
        system, right, _ = _system(gram, spread(logs), fixed)
        rest = gram[-1, -1] - right @ np.linalg.solve(system, right)
        log_det = np.linalg.slogdet(system)[1]
        return float(free * np.log(max(rest, 1e-12)) + log_det)

    if not any(effects):
        return spread(np.zeros(2))
    runs = [
        minimize(criterion, start, bounds=[BOUNDS] * 2, method="L-BFGS-B")
        for start in STARTS
    ]
    return spread(min(runs, key=lambda run: run.fun).x)


def _system(
    gram: np.ndarray, ratios: np.ndarray, fixed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return Henderson's equations for effects in units of their deviation.

    Those units come last.
    """
    is_fixed = np.arange(len(ratios)) < fixed
    unit = np.where(is_fixed, 1.0, np.sqrt(ratios))
    added = np.where(is_fixed, 1e-10, 1.0)  # the slope of a constant score is 0
    system = unit[:, None] * gram[:-1, :-1] * unit + np.diag(added)
    return system, unit * gram[:-1, -1], unit


def solve_mixed(
    gram: np.ndarray, ratios: np.ndarray, free: int, fixed: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return estimates, their covariance in residual variances, and that variance.

    Args:
        gram: see `variance_ratios`.
        ratios: what it returned.
        free: rows less the rank of the fixed part.
        fixed: columns of the fixed part.
    """
    system, right, unit = _system(gram, ratios, fixed)
    inverse = np.linalg.inv(system)
    found = inverse @ right
    residual = max(gram[-1, -1] - right @ found, 1e-24) / free
    return unit * found, unit[:, None] * inverse * unit, float(residual)

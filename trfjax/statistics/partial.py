"""Rank correlation with other quantities held fixed."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

from trfjax.typing import ArrayInput


def partial_spearman(
    first: ArrayInput, second: ArrayInput, given: ArrayInput
) -> Float[np.ndarray, " m"]:
    """Return the correlation of what is left of ranks once others have explained.

    The ranks (means where equal) are regressed on the ranks of `given`, with a
    constant, and the residuals are correlated. Without a column in `given` this is
    Spearman's correlation.

    Args:
        first: `(n, m)`, a quantity a column.
        second: `(n,)`, what each of them is correlated with.
        given: `(n, g)`, what is held fixed.

    Returns:
        -1 to 1, of every column; NaN where `given` explains it wholly, or explains
        `second` wholly, or one of the two is constant.

    Raises:
        ValueError: arrays that do not fit each other, or values that are not finite.

    Reference:
        Conover, "Practical Nonparametric Statistics", 3rd ed., 1999, section 5.4.
    """
    first, second, given = (np.asarray(x, np.float64) for x in (first, second, given))
    rows = {len(x) for x in (first, second, given) if x.ndim}
    if (first.ndim, second.ndim, given.ndim) != (2, 1, 2) or len(rows) != 1:
        raise ValueError(
            f"first, second, given: shapes {first.shape}, {second.shape} and "
            f"{given.shape}; expected (n, m), (n,) and (n, g)"
        )
    if not all(np.isfinite(x).all() for x in (first, second, given)):
        raise ValueError("first, second, given: need finite values; leave out NaN rows")
    ranks = rankdata(np.column_stack([first, second]), axis=0)
    design = np.column_stack([np.ones(len(ranks)), rankdata(given, axis=0)])
    left = ranks - design @ np.linalg.lstsq(design, ranks, rcond=None)[0]
    norms = np.linalg.norm(left, axis=0)
    norms[norms <= 1e-9 * np.linalg.norm(ranks, axis=0)] = np.nan
    unit = left / norms
    return unit[:, :-1].T @ unit[:, -1]

"""The mean of pixel scores, and its standard error over images."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int


def ratio_mean(
    sums: Float[np.ndarray, "*k i"], counts: Int[np.ndarray, "*k i"]
) -> tuple[Float[np.ndarray, "*k"], Float[np.ndarray, "*k"]]:
    r"""Return the mean over pixels of some images, and its standard error.

    With the sum $S_i$ and the number $n_i$ of the pixels of every image, $N = \sum n_i$
    and $m = \sum S_i / N$,

    $$s^2 = \frac{B}{B-1} \frac{1}{N^2} \sum_i (S_i - m n_i)^2$$

    over the B images with a pixel: the linearised error of a ratio, with what the
    pixels say together held as it is.

    Args:
        sums: of the scores of every image.
        counts: pixels of every image.

    Returns:
        Mean, NaN without a pixel; standard error, NaN with fewer than two images.
    """
    total, shown = counts.sum(axis=-1), (counts > 0).sum(axis=-1)
    safe = np.maximum(total, 1)
    mean = sums.sum(axis=-1) / safe
    spread = np.sum((sums - mean[..., None] * counts) ** 2, axis=-1) / safe**2
    error = np.sqrt(spread * shown / np.maximum(shown - 1, 1))
    return np.where(total > 0, mean, np.nan), np.where(shown > 1, error, np.nan)

"""CC-FV: classes alike in all images, images unlike each other, layer by layer."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Collection, Sequence
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from trfjax.errors import ScoreWarning
from trfjax.promotion import usual_promotion
from trfjax.scores.bounds import unbounded
from trfjax.scores.ccfv_tables import CcfvTables, ccfv_tables
from trfjax.scores.spec import ScoreSpec, laws
from trfjax.statistics.resamples import Resamples
from trfjax.typing import IGNORE, ArrayInput, Count


def ccfv(
    layers: Sequence[ArrayInput],
    labels: ArrayInput,
    *,
    images: ArrayInput | None = None,
    num_classes: Count | None = None,
    ignore: int | Collection[int] = IGNORE,
    variety: Literal["energy", "inverse"] = "energy",
) -> Float[Array, ""]:
    r"""CC-FV: feature variety over class consistency, summed over layers as logarithms.

    $$\sum_l \log \frac{\mathrm{FV}_l}{\mathrm{CC}_l}, \qquad
    \mathrm{FV} = \frac{2}{n (n-1)} \sum_{i < j} \frac{1}{\sqrt{\|g_i - g_j\|^2 +
    10^{-3}}}$$

    with the mean features $g_i$ of image i, and CC the mean, over classes and over
    pairs of images that both show the class, of the 2-Wasserstein distance between
    Gaussians fitted to the features of the class in the two images.

    Args:
        layers: features of the target by layer, each `(n, d)` or `(b, h, w, d)`, the
            labels' grid at every layer.
        labels: target ids, `(n,)` or `(b, h, w)`.
        images: id of the image of every instance, or of every map; by default every
            map is an image of its own. Rows of pixels need it.
        num_classes: number of target classes; None re-indexes the ids present.
        ignore: the label, or labels, that count for nothing.
        variety: `"energy"` as published code has it, which is larger where images are
            closer; `"inverse"`, 1 over it, which is larger where they are apart, as
            the name says.

    Returns:
        A number, no unit; larger means more transferable. NaN where no class is in two
        images.

    Raises:
        TypeError, ValueError: arrays that do not fit, labels out of range, fewer than
            two images, nothing left to score; a call under `jit`.

    Warns:
        ScoreWarning: no class is in two images.

    Reference:
        Yang, Wei, Gu, Zheng and others, "Pick the Best Pre-trained Model: Towards
        Transferability Estimation for Medical Image Segmentation", MICCAI 2023,
        Equations 1 to 5. Published code adds a running sum to itself and assumes every
        class in every image; here means are over the pairs there are.
    """
    tables = ccfv_tables(
        layers, labels, images=images, num_classes=num_classes, ignore=ignore
    )
    value = tables.score(np.ones((1, len(tables.energy[0]))), variety=variety)[0]
    if np.isnan(value):
        warnings.warn(
            "ccfv: no class is in two images, or features do not vary between images, "
            "so nothing can be compared",
            ScoreWarning,
            stacklevel=2,
        )
    return jnp.asarray(value)


@dataclasses.dataclass(frozen=True, eq=False)
class _Compared:
    """The score, and the tables it was computed from."""

    score: float
    tables: CcfvTables


@usual_promotion
def _of_one_layer(
    features: ArrayInput, images: ArrayInput, labels: ArrayInput, **settings: Any
) -> _Compared:
    tables = ccfv_tables([features], labels, images=images, **settings)
    return _Compared(tables.score(np.ones((1, len(tables.energy[0]))))[0], tables)


def _resampled(
    result: _Compared,
    *,
    labels: np.ndarray,
    images: Int[np.ndarray, " n"],
    resamples: Resamples,
    seed: int,
) -> Float[np.ndarray, " b"]:
    """Return CC-FV of every resample of the images; exact."""
    del labels, seed
    rows = resamples.rows.astype(np.float64)
    return result.tables.score(rows[:, np.unique(images)])


SPEC = ScoreSpec(
    name="ccfv",
    function=_of_one_layer,
    inputs=("target_features", "target_images"),
    title="CC-FV",
    unit="",
    bounds=unbounded,
    laws=laws("duplicates", "rotation", "shift"),
    resampled=_resampled,
    smooth=False,  # pairs of an image with itself are left out
    weighted=False,
    transforms=False,
    differentiable=False,
    rtol=1e-4,
)

"""Nuclear norm of the predictions: are they sure, and of all classes?"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from trfjax.atoms.moments import Moments
from trfjax.promotion import usual_promotion
from trfjax.scores.spec import OfSums, ScoreSpec, laws
from trfjax.scores.unlabelled import unlabelled_rows
from trfjax.simplex import check_probs, half_step
from trfjax.typing import ArrayInput, Probs, Weights


@usual_promotion
def nuclear_norm(
    probs: ArrayInput, *, weights: ArrayInput | None = None
) -> Float[Array, ""]:
    r"""Nuclear norm of the matrix of predicted probabilities, over its largest value.

    $$\frac{\|P\|_*}{\sqrt{n \, \min(n, C)}}$$

    It rises with the confidence of the predictions and with the number of classes they
    spread over. It needs no labels and looks at the target alone, so it orders sources
    for a target without labels, and says nothing about fine-tuning with labels.

    Args:
        probs: `(n, c)` or `(b, h, w, c)` probabilities of the target instances by the
            source head.
        weights: multiplicity of every instance; uniform by default.

    Returns:
        A number in `(0, 1]`, no unit; larger means more transferable. 1 for one-hot
        rows that are balanced over all classes.

    Raises:
        TypeError, ValueError: rows that are not probabilities, nothing left to score.

    Reference:
        Cui, Wang, Zhuo, Li, Huang and Tian, "Towards Discriminability and Diversity:
        Batch Nuclear-norm Maximization under Label Insufficient Situations", CVPR 2020.
        As a measure without labels: Deng, Suh, Gould and Zheng, "Confidence and
        Dispersity Speak: Characterising Prediction Matrix for Unsupervised Accuracy
        Estimation", ICML 2023.
    """
    rows = unlabelled_rows("probs", probs, weights=weights)
    even = check_probs(
        "probs",
        rows.features,
        rows.weights,
        instead="Pass the softmax of the logits.",
        half=half_step(probs),
    )
    return nuclear_norm_core(even, rows.weights)


@jax.jit
def nuclear_norm_core(probs: Probs, weights: Weights) -> Float[Array, ""]:
    """Return the nuclear norm over its bound; rows of weight 0 count for nothing."""
    n = weights.sum()
    values = jnp.linalg.svd(jnp.sqrt(weights)[:, None] * probs, compute_uv=False)
    return values.sum() / jnp.sqrt(n * jnp.minimum(n, probs.shape[1]))


def nuclear_norm_of_moments(
    moments: Moments, multiplicities: Float[np.ndarray, "b i"]
) -> Float[np.ndarray, " b"]:
    """Nuclear norm of all pixels of every resample, in float64; see `nuclear_norm`.

    Args:
        moments: of the probabilities of the target pixels, by image.
        multiplicities: how often every image counts in a resample.

    Returns:
        NaN for a resample without a pixel.
    """
    counts, _, products = moments.pooled(multiplicities)
    n = counts.sum(axis=1)
    values = np.sqrt(np.maximum(np.linalg.eigvalsh(products), 0)).sum(axis=1)
    largest = np.sqrt(n * np.minimum(n, products.shape[1]))
    return np.where(n > 0, values / np.where(n > 0, largest, 1), np.nan)


SPEC = ScoreSpec(
    name="nuclear_norm",
    function=nuclear_norm,
    inputs=("target_probs",),
    title="Nuclear norm",
    unit="",
    bounds=lambda labels, arrays: (0.0, 1.0),
    labels="none",
    laws=laws("source_names", "duplicates"),
    space="probs",
    of_sums=OfSums(tables=("target_moments",), replicates=nuclear_norm_of_moments),
)

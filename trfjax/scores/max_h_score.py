"""The largest H-score that any features of an input can reach on a task."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from trfjax.arrays import as_labels, index_labels, row_weights
from trfjax.numbers import as_count
from trfjax.promotion import usual_promotion
from trfjax.scores.bounds import SEPARATION
from trfjax.scores.nce import label_counts
from trfjax.scores.spec import OfSums, ScoreSpec, laws
from trfjax.typing import IGNORE, AnyArray, ArrayInput, Count


def max_h_score(
    inputs: ArrayInput,
    labels: ArrayInput,
    *,
    features: int | None = None,
    num_classes: Count | None = None,
    num_inputs: int | None = None,
    weights: ArrayInput | None = None,
    ignore: int | Collection[int] = IGNORE,
) -> Float[Array, ""]:
    r"""Maximal H-score of a discrete input: squared correlations of its best features.

    With the joint distribution of input values and labels,

    $$B_{xy} = \frac{P(x, y)}{\sqrt{P(x) P(y)}}, \qquad
    H_{\max}(k) = \sum_{i=1}^{k} \sigma_i(B)^2, \qquad
    1 = \sigma_0 \ge \sigma_1 \ge \dots$$

    $\sigma_1$ is the maximal correlation of Hirschfeld, Gebelein and Rényi, and the
    best features are the left singular vectors over $\sqrt{P(x)}$. Alternating
    conditional expectations are the power iteration to the same; a decomposition of a
    small matrix needs no iteration. With all k it is chi-squared over n. For inputs
    that are no ids see `soft_hgr_features`.

    Args:
        inputs: `(n,)` or `(b, h, w)` ids of the values of the input, such as cells of
            a quantised image or source classes.
        labels: target ids of the same shape.
        features: k, how many features there may be; all by default.
        num_classes: number of target classes; None re-indexes the ids present.
        num_inputs: number of input values, likewise.
        weights: non-negative weight of every instance; uniform by default.
        ignore: the label, or labels, that count for nothing, on either side.

    Returns:
        A number in `[0, min(k, classes - 1, values - 1)]`, no unit.

    Raises:
        TypeError, ValueError: ids that do not fit, nothing left to count.

    Reference:
        Bao et al., "An Information-Theoretic Approach to Transferability in Task
        Transfer Learning", ICIP 2019; Breiman and Friedman, "Estimating Optimal
        Transformations for Multiple Regression and Correlation", JASA 80, 1985.
    """
    if features is not None:
        as_count("features", features)
    values = as_labels("inputs", inputs)
    ids = as_labels("labels", labels)
    if values.shape != ids.shape:
        raise ValueError(
            f"inputs: shape {values.shape} differs from labels {ids.shape}; each "
            "instance needs both"
        )
    values, ids = values.reshape(-1), ids.reshape(-1)
    known = row_weights("labels", ids, ignore, weights)
    known = row_weights("inputs", values, ignore, known)
    x, sources = index_labels(
        "inputs", values, known, num_inputs, ignore, setting="num_inputs"
    )
    y, targets = index_labels("labels", ids, known, num_classes, ignore)
    joint = label_counts(
        jnp.asarray(x, jnp.int32),
        jnp.asarray(y, jnp.int32),
        jnp.asarray(known),
        sources=len(sources),
        targets=len(targets),
    )
    return max_h_score_of_joint(joint, features=features)


def max_h_score_of_joint(
    joint: Float[AnyArray, "x y"], *, features: int | None = None
) -> Float[Array, ""]:
    """Return the largest H-score of a joint distribution, or of counts."""
    joint = jnp.asarray(joint) / joint.sum()
    sides = joint.sum(axis=1)[:, None] * joint.sum(axis=0)
    # Without its leading pair, whose singular value is 1.
    centred = jnp.where(
        sides > 0, (joint - sides) / jnp.sqrt(jnp.where(sides > 0, sides, 1)), 0
    )
    if features is None:
        return jnp.sum(jnp.square(centred))
    values = jnp.linalg.svd(centred, compute_uv=False)
    return jnp.sum(jnp.square(values[: int(np.minimum(features, len(values)))]))


def max_h_score_of_counts(
    counts: Float[np.ndarray, "i z c"], multiplicities: Float[np.ndarray, "b i"]
) -> Float[np.ndarray, " b"]:
    """Maximal H-score of the predicted classes of all pixels of every resample; exact.

    Args:
        counts: pixels by image, predicted and given label.
        multiplicities: how often every image counts in a resample.

    Returns:
        NaN for a resample without a pixel.
    """
    many = np.asarray(multiplicities, np.float64)
    joint = np.tensordot(many, counts.astype(np.float64), axes=1)
    total = joint.sum(axis=(1, 2), keepdims=True)
    joint = joint / np.where(total > 0, total, np.nan)
    sides = joint.sum(axis=2, keepdims=True) * joint.sum(axis=1, keepdims=True)
    safe = np.where(sides > 0, sides, 1)
    return np.sum(np.square(joint - sides) / safe, axis=(1, 2))


@usual_promotion
def _of_predictions(
    predictions: ArrayInput,
    labels: ArrayInput,
    *,
    num_source_classes: Count | None = None,
    **settings: Any,
) -> Float[Array, ""]:
    return max_h_score(predictions, labels, num_inputs=num_source_classes, **settings)


def _bounds(labels: np.ndarray, arrays: Mapping[str, AnyArray]) -> tuple[float, float]:
    sides = labels, np.asarray(arrays["target_predictions"])
    return 0.0, float(min(len(np.unique(side)) for side in sides) - 1)


SPEC = ScoreSpec(
    name="max_h_score",
    function=_of_predictions,
    inputs=("target_predictions",),
    title="Maximal H-score of the predictions",
    unit="",
    bounds=_bounds,
    floor=lambda share: 0.0,
    limits=lambda share: (0.0, float(np.sum(share > 0) - 1)),
    explained=SEPARATION,
    laws=laws("source_names", "duplicates"),
    space="probs",
    of_sums=OfSums(tables=("target_counts",), replicates=max_h_score_of_counts),
    merging_targets="not higher",
    merging_sources="not higher",
    differentiable=False,
)

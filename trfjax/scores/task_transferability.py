"""Task transferability: the H-score of features over the best one for the task."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from trfjax.scores.hscore import h_score
from trfjax.typing import IGNORE, ArrayInput, Count


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TaskTransferability:
    """A ratio of H-scores and both of its terms."""

    score: Float[Array, ""]  # source over maximum
    h_score: Float[Array, ""]  # of the source's features
    maximum: Float[Array, ""]  # of the best features, or of the target's own


def task_transferability(
    source_features: ArrayInput,
    labels: ArrayInput,
    *,
    target_features: ArrayInput | None = None,
    maximum: ArrayInput | None = None,
    num_classes: Count | None = None,
    weights: ArrayInput | None = None,
    ignore: int | Collection[int] = IGNORE,
) -> TaskTransferability:
    r"""Transferability of a source task: its H-score as a share of the best possible.

    $$T(S \to T) = \frac{H(f_S)}{H(f_T)}$$

    with the features $f_T$ of a network trained on the target, or the largest H-score
    any features reach (`max_h_score`, `max_h_score_network`). Unlike H-scores, ratios
    can be compared between target tasks.

    Args:
        source_features: `(n, d)` or `(b, h, w, d)` features of the target instances.
        labels: target ids, `(n,)` or `(b, h, w)`.
        target_features: of the same instances, by a network trained on the target.
        maximum: the largest H-score, in the place of `target_features`.
        num_classes: number of target classes; None re-indexes the ids present.
        weights: non-negative weight of every instance; uniform by default.
        ignore: the label, or labels, that count for nothing.

    Returns:
        The ratio and its terms. In `[0, 1]` for distributions; on samples it may exceed
        1. NaN where the maximum is 0, as for a single class.

    Raises:
        TypeError, ValueError: arrays that do not fit; both or neither of
            `target_features` and `maximum`.

    Reference:
        Bao et al., "An Information-Theoretic Approach to Transferability in Task
        Transfer Learning", ICIP 2019, Definition 2.
    """
    if (target_features is None) == (maximum is None):
        raise ValueError(
            "target_features, maximum: give one of them, the features of a network "
            "trained on the target or the largest H-score"
        )

    def of(features: ArrayInput) -> Float[Array, ""]:
        return h_score(
            features, labels, num_classes=num_classes, weights=weights, ignore=ignore
        )

    source = of(source_features)
    most = jnp.asarray(
        of(target_features) if maximum is None else maximum, source.dtype
    )
    ratio = source / jnp.where(most > 0, most, jnp.nan)
    return TaskTransferability(ratio, source, most)

"""Agreement with the ensemble of all candidates."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

from trfjax.scores.unlabelled import unlabelled_rows
from trfjax.simplex import check_probs, half_step
from trfjax.typing import ArrayInput


def ensemble_agreement(
    probs: ArrayInput,
    ensemble_probs: ArrayInput,
    *,
    weights: ArrayInput | None = None,
) -> Float[Array, ""]:
    r"""Share of instances whose prediction is that of the mean of all candidates.

    $$\frac1n \sum_i \bigl[\arg\max_c P_{ic} = \arg\max_c \bar P_{ic}\bigr]$$

    with the mean over candidates of one set of classes. It needs no labels: where
    candidates err in different ways, the one that follows the crowd errs least.

    Args:
        probs: `(n, c)` or `(b, h, w, c)` probabilities of the target by the source.
        ensemble_probs: the same of the mean of all candidates.
        weights: multiplicity of every instance; uniform by default.

    Returns:
        A number in `[0, 1]`; larger means more transferable. Ties go to the first
        class.

    Raises:
        TypeError, ValueError: rows that are not probabilities or do not fit.

    Reference:
        Agreement between networks as a stand-in for accuracy: Baek, Jiang, Raghunathan
        and Kolter, "Agreement-on-the-Line: Predicting the Performance of Neural
        Networks under Distribution Shift", NeurIPS 2022. The mean of all candidates as
        the partner is ours.
    """
    sides = [
        unlabelled_rows(name, value, weights=weights)
        for name, value in (("probs", probs), ("ensemble_probs", ensemble_probs))
    ]
    if sides[0].features.shape != sides[1].features.shape:
        raise ValueError(
            f"ensemble_probs: {sides[1].features.shape} differs from probs "
            f"{sides[0].features.shape}; candidates need the same classes and instances"
        )
    given = (("probs", probs), ("ensemble_probs", ensemble_probs))
    for (name, value), side in zip(given, sides, strict=True):
        check_probs(
            name,
            side.features,
            side.weights,
            instead="Pass a softmax.",
            half=half_step(value),
        )
    same = [side.features.argmax(axis=1) for side in sides]
    counts = sides[0].weights
    return jnp.sum(counts * (same[0] == same[1])) / counts.sum()

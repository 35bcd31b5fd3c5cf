"""Label-gradient correlation: LFC with the gradients of the network as features."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from jaxtyping import Array, Float

from trfjax.scores.lfc import lfc
from trfjax.typing import IGNORE, ArrayInput, Count


def lgc(
    gradients: ArrayInput,
    labels: ArrayInput,
    *,
    num_classes: Count | None = None,
    weights: ArrayInput | None = None,
    ignore: int | Collection[int] = IGNORE,
    centring: Literal["mean", "double"] = "mean",
) -> Float[Array, ""]:
    r"""LGC: cosine between the kernel of the network's gradients and the labels'.

    $$\frac{\langle \Theta - \bar\Theta, Y - \bar Y \rangle}
    {\|\Theta - \bar\Theta\| \, \|Y - \bar Y\|}, \qquad
    \Theta = J J^\top, \quad Y_{ij} = 2\,[y_i = y_j] - 1$$

    $J$ has the gradient of the logits by the weights of the network in a row an
    instance. Fine-tuning moves along these gradients, where the features stand still.

    Args:
        gradients: `(n, k)` or `(b, h, w, k)`: the gradients, or a sketch of them, such
            as the derivatives of the logits along k random directions of the weights
            (`jax.jvp`).
        labels: target ids, `(n,)` or `(b, h, w)`.
        num_classes: number of target classes; None re-indexes the ids present.
        weights: multiplicity of every instance; uniform by default.
        ignore: the label, or labels, that count for nothing.
        centring: see `lfc`.

    Returns:
        A number in `[-1, 1]`, no unit; larger means more transferable. NaN for a
        single class, and for gradients that do not vary.

    Raises:
        TypeError, ValueError: arrays that do not fit, labels out of range, an unknown
            setting, nothing left to score.

    Reference:
        Deshpande et al., "A Linearized Framework and a New Benchmark for Model
        Selection for Fine-Tuning", 2021, Section 3.
    """
    return lfc(
        gradients,
        labels,
        num_classes=num_classes,
        weights=weights,
        ignore=ignore,
        centring=centring,
    )

"""Agreement of predictions with those of a changed input."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

from trfjax.arrays import as_float, as_labels
from trfjax.typing import ArrayInput


def agreement(
    predictions: ArrayInput,
    perturbed: ArrayInput,
    *,
    background: int | None = None,
    weights: ArrayInput | None = None,
) -> Float[Array, ""]:
    r"""Share of predictions that survive a perturbation of the input.

    $$\frac1K \sum_k \frac{\sum_{i \in U_k} [\hat y_i = \hat y^{(k)}_i]}{|U_k|}$$

    over the instances $U_k$ that one of the two predictions takes for foreground (all
    without a background). It needs no labels: a network that knows the target is not
    moved by a flip, a change of brightness, noise or a small change of scale. It orders
    sources as they are and says nothing about fine-tuning with labels.

    Args:
        predictions: `(n,)` or `(b, h, w)` predicted source classes of the target.
        perturbed: `(k, n)` or `(k, b, h, w)` those of k perturbed inputs, with the
            geometry undone; -1 where an instance has left the image.
        background: the class that is no foreground.
        weights: multiplicity of every instance; uniform by default.

    Returns:
        A number in `[0, 1]`; larger means more transferable. NaN where a perturbation
        leaves no foreground to compare.

    Raises:
        TypeError, ValueError: ids that are no integers or do not fit.

    Reference:
        "Ranking pre-trained segmentation models for zero-shot transferability",
        arXiv:2503.00450, 2025.
    """
    given = as_labels("predictions", predictions)
    changed = as_labels("perturbed", perturbed)
    if changed.shape[1:] != given.shape or not changed.shape[0]:
        raise ValueError(
            f"perturbed: shape {changed.shape} does not fit predictions of shape "
            f"{given.shape}; expected (k, {', '.join(map(str, given.shape))})"
        )
    counts = jnp.ones(given.shape) if weights is None else as_float("weights", weights)
    held = jnp.where((changed >= 0) & (given >= 0), jnp.asarray(counts), 0)
    if background is not None:
        held = jnp.where((changed != background) | (given != background), held, 0)
    axes = tuple(range(1, held.ndim))
    total = held.sum(axis=axes)
    kept = jnp.where(changed == given, held, 0).sum(axis=axes)
    return jnp.mean(kept / jnp.where(total > 0, total, jnp.nan))

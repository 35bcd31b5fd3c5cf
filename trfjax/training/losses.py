"""Cross-entropy that knows about ignored pixels, class weights and pixel weights."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Shaped

from trfjax.typing import IGNORE, AnyArray


def cross_entropy(
    logits: Float[AnyArray, "*dims k"],
    labels: Int[AnyArray, "*dims"],
    *,
    ignore: int | Int[Array, ""] = IGNORE,
    class_weights: Float[AnyArray, " k"] | None = None,
    weights: Float[AnyArray, "*dims"] | None = None,
) -> Float[Array, ""]:
    r"""Mean cross-entropy of the valid labels, in nats; smaller is better.

    $$-\frac{\sum_i w_i \log p(y_i \mid x_i)}{\sum_i w_i}$$

    Dividing by the sum is the same as scaling the weights to mean 1 over the valid
    pixels, so that they move the emphasis and not the size of the gradient.

    Args:
        logits: unnormalised scores.
        labels: class indices in `[0, k)`, or `ignore`.
        ignore: the label of pixels that count for nothing.
        class_weights: weight of every class, at least 0.
        weights: weight of every label, at least 0; multiplied with the class weights.

    Returns:
        The mean; 0, with a gradient of 0, when nothing is valid.
    """
    logits, labels = jnp.asarray(logits), jnp.asarray(labels)
    valid = labels != ignore
    index = jnp.where(valid, labels, 0)
    importance = valid.astype(logits.dtype)
    if class_weights is not None:
        importance *= jnp.asarray(class_weights)[index]
    if weights is not None:
        importance *= weights
    total = importance.sum()
    losses = -log_likelihood(logits, index)
    # An ignored pixel may hold anything, infinities too; it never enters the sum.
    summed = jnp.where(importance > 0, importance * losses, 0).sum()
    return summed / jnp.where(total > 0, total, 1)


def log_likelihood(
    logits: Float[Array, "*dims k"], labels: Int[Array, "*dims"]
) -> Float[Array, "*dims"]:
    """Return `log p(y | x)` of every label in `[0, k)`, in nats."""
    chosen = jnp.take_along_axis(logits, labels[..., None], axis=-1)[..., 0]
    return chosen - jax.nn.logsumexp(logits, axis=-1)


def fit_labels(
    labels: Shaped[Array, "b ..."], logits: Float[Array, "b ... k"]
) -> Shaped[Array, "b ..."]:
    """Crop the centre of label maps, for networks that lose a border of the image.

    Weights of labels are cropped in the same way.

    Raises:
        ValueError: logits on a larger grid, or vectors where maps are labelled.
    """
    wanted = logits.shape[:-1]
    if labels.ndim != len(wanted) or any(
        have < want for have, want in zip(labels.shape, wanted, strict=True)
    ):
        raise ValueError(
            f"labels: shape {labels.shape} does not fit logits of shape {logits.shape}"
        )
    for axis, want in enumerate(wanted):
        start = (labels.shape[axis] - want) // 2
        labels = jax.lax.slice_in_dim(labels, start, start + want, axis=axis)
    return labels

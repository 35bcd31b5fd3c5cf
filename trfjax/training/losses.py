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


def dice_loss(
    logits: Float[AnyArray, "*dims k"],
    labels: Int[AnyArray, "*dims"],
    *,
    ignore: int | Int[Array, ""] = IGNORE,
    background: bool = False,
) -> Float[Array, ""]:
    r"""One minus the soft Dice overlap, mean over the classes present; 0 to 1.

    $$1 - \frac1{|C|} \sum_{c \in C}
    \frac{2 \sum_i p_{ic} y_{ic}}{\sum_i p_{ic}^2 + \sum_i y_{ic}}$$

    Sums run over all valid labels of the batch. A class without a label in it has no
    overlap to learn; it is left to the cross-entropy that this loss goes with.

    Args:
        logits: unnormalised scores.
        labels: class indices in `[0, k)`, or `ignore`.
        ignore: the label of pixels that count for nothing.
        background: whether class 0 is one of the classes.

    Returns:
        The loss; 0, with a gradient of 0, where no class is present.

    Reference:
        Milletari et al., "V-Net: Fully Convolutional Neural Networks for Volumetric
        Medical Image Segmentation", 3DV 2016, Section 3 (with squares of p below).
    """
    logits, labels = jnp.asarray(logits), jnp.asarray(labels)
    k = logits.shape[-1]
    valid = (labels != ignore).reshape(-1, 1)
    # An ignored pixel may hold anything, NaN too; it must not reach the softmax.
    probs = jax.nn.softmax(jnp.where(valid, logits.reshape(-1, k), 0))
    probs = jnp.where(valid, probs, 0)
    truth = jnp.where(
        valid, jax.nn.one_hot(labels.reshape(-1), k, dtype=probs.dtype), 0
    )
    both, size = (probs * truth).sum(axis=0), truth.sum(axis=0)
    counts = size > 0 if background else (size > 0).at[0].set(False)
    overlap = 2 * both / jnp.where(counts, (probs**2).sum(axis=0) + size, 1)
    missing = jnp.where(counts, 1 - overlap, 0).sum()
    return missing / jnp.maximum(counts.sum(), 1)

"""Pseudo labels: which predictions on the target are taken for its labels.

All take probabilities; 255 marks a pixel without a label.
"""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from trfjax.typing import IGNORE

Rule = Literal["max_confidence", "majority"]


def max_prob(
    probs: Float[Array, "*dims k"], threshold: float | Float[Array, " k"]
) -> Int[Array, "*dims"]:
    """Return the likeliest class where its probability is above the threshold.

    Args:
        probs: on the simplex.
        threshold: of all classes, or of each.
    """
    labels = probs.argmax(axis=-1)
    limits = jnp.broadcast_to(jnp.asarray(threshold), (probs.shape[-1],))
    return jnp.where(probs.max(axis=-1) > limits[labels], labels, IGNORE)


def vote(
    layers: Float[Array, "l *dims k"], threshold: float, *, rule: Rule
) -> Int[Array, "*dims"]:
    """Return the labels of several prediction layers (multiple MPT).

    Both rules label the pixels on which some layer is above the threshold. They differ
    from three layers on, where two can outvote one that is surer.

    Args:
        layers: probabilities of each layer; the main one first.
        threshold: that confidence must be above.
        rule: "max_confidence": the class of the surest layer, the first where equal.
            "majority": of the layers above the threshold, the class that most name;
            where equal, the one that the surest of them names.

    Reference:
        Bartoletti, Bulfamante and Sciortino, "Multiple Layer Self Supervised Learning
        for Real-time Semantic Segmentation".
    """
    confidence = layers.max(axis=-1)  # (l, ...)
    labels = layers.argmax(axis=-1)
    if rule == "max_confidence":
        best = confidence.argmax(axis=0)[None]
        chosen = jnp.take_along_axis(labels, best, axis=0)[0]
    else:
        sure = confidence > threshold
        named = jax.nn.one_hot(labels, layers.shape[-1], dtype=layers.dtype)
        named = named * sure[..., None]  # (l, ..., k)
        votes = named.sum(axis=0)
        surest = (named * confidence[..., None]).max(axis=0)
        # Votes are whole numbers and confidences below 1.5: the sum orders by both.
        chosen = (2 * votes + surest).argmax(axis=-1)
    return jnp.where(confidence.max(axis=0) > threshold, chosen, IGNORE)


def balanced_labels(
    probs: Float[Array, "*dims k"], thresholds: Float[Array, " k"]
) -> Int[Array, "*dims"]:
    """Return the class whose probability is largest over its threshold, if above it.

    A pixel may so get a rarer class than its likeliest one.

    Reference:
        Zou et al., "Unsupervised Domain Adaptation for Semantic Segmentation via
        Class-Balanced Self-Training", ECCV 2018, Equation 7.
    """
    relative = probs / thresholds
    return jnp.where(relative.max(axis=-1) >= 1, relative.argmax(axis=-1), IGNORE)


def median_thresholds(
    confidence: Float[np.ndarray, " n"],
    labels: Int[np.ndarray, " n"],
    num_classes: int,
    *,
    cap: float = 0.9,
) -> Float[np.ndarray, " k"]:
    """Return the median confidence of every class, at most the cap; 0 where absent.

    Element `n // 2` of the ascending list.

    Reference:
        Li et al., "Bidirectional Learning for Domain Adaptation of Semantic
        Segmentation", CVPR 2019; in their published code.
    """
    found = np.zeros(num_classes, confidence.dtype)
    for c in range(num_classes):
        values = confidence[labels == c]
        if len(values):
            middle = len(values) // 2
            found[c] = min(np.partition(values, middle)[middle], cap)
    return found


def balanced_thresholds(
    confidence: Float[np.ndarray, " n"],
    labels: Int[np.ndarray, " n"],
    num_classes: int,
    *,
    portion: float,
) -> Float[np.ndarray, " k"]:
    """Return thresholds that the same portion of every class reaches; 1 where absent.

    The k-th largest confidence among the n pixels predicted as the class, with k the
    whole part of n times the portion; 1 where k is 0.

    Args:
        confidence: the largest probability of every pixel.
        labels: its class.
        num_classes: number of classes.
        portion: to be reached, 0 to 1.
    """
    found = np.ones(num_classes, confidence.dtype)
    for c in range(num_classes):
        values = confidence[labels == c]
        count = int(len(values) * portion)
        if count:
            at = len(values) - count
            found[c] = np.partition(values, at)[at]
    return found

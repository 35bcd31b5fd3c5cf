"""Losses of adaptation: means over valid pixels, in nats, 0 where none is valid."""

from __future__ import annotations

import math
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from trfjax.training.losses import cross_entropy, log_likelihood
from trfjax.typing import IGNORE

Adversarial = Literal["ce", "ls"]
CLIP = 1e-4  # the probability that stands for 0 in the logarithm of a hard label


def valid_mean(
    values: Float[Array, "*dims"], valid: Bool[Array, "*dims"]
) -> Float[Array, ""]:
    """Return the mean of the valid values; 0 where there are none."""
    total = jnp.where(valid, values, 0).sum()
    return total / jnp.maximum(valid.sum(), 1)


def soft_cross_entropy(
    logits: Float[Array, "*dims k"],
    targets: Float[Array, "*dims k"],
    valid: Bool[Array, "*dims"],
) -> Float[Array, ""]:
    r"""Return $-\frac1n \sum_i \sum_k q_{ik} \log p_{ik}$."""
    log_probs = jax.nn.log_softmax(logits)
    return valid_mean(-(targets * log_probs).sum(axis=-1), valid)


def reverse_cross_entropy(
    logits: Float[Array, "*dims k"],
    labels: Int[Array, "*dims"],
    *,
    ignore: int | Int[Array, ""] = IGNORE,
) -> Float[Array, ""]:
    r"""Return the cross-entropy of a hard label under the prediction.

    $$-\frac1n \sum_i \sum_k p_{ik} \log \max(1[y_i = k], 10^{-4})
    = \frac{\log 10^4}{n} \sum_i (1 - p_{i y_i})$$

    Reference:
        Wang et al., "Symmetric Cross Entropy for Robust Learning with Noisy Labels",
        ICCV 2019, Equation 5.
    """
    valid = labels != ignore
    chosen = jnp.exp(log_likelihood(logits, jnp.where(valid, labels, 0)))
    return valid_mean(-math.log(CLIP) * (1 - chosen), valid)


def symmetric_cross_entropy(
    logits: Float[Array, "*dims k"],
    labels: Int[Array, "*dims"],
    *,
    ignore: int | Int[Array, ""] = IGNORE,
    forward: float = 0.1,
    backward: float = 1.0,
) -> Float[Array, ""]:
    r"""Return $\alpha\, \mathrm{CE} + \beta\, \mathrm{RCE}$.

    Args:
        logits: unnormalised scores.
        labels: class indices, or `ignore`.
        ignore: the label of pixels that count for nothing.
        forward: $\alpha$ of the cross-entropy.
        backward: $\beta$ of the reverse cross-entropy.

    Reference:
        Zhang et al., "Prototypical Pseudo Label Denoising and Target Structure Learning
        for Domain Adaptive Semantic Segmentation", CVPR 2021, Equation 9.
    """
    return forward * cross_entropy(
        logits, labels, ignore=ignore
    ) + backward * reverse_cross_entropy(logits, labels, ignore=ignore)


def divergence(
    log_targets: Float[Array, "*dims k"],
    log_probs: Float[Array, "*dims k"],
    valid: Bool[Array, "*dims"],
) -> Float[Array, ""]:
    r"""Return $\frac1n \sum_i \mathrm{KL}(q_i \| p_i)$; no gradient reaches $q$.

    Args:
        log_targets: $\log q$, normalised.
        log_probs: $\log p$, normalised.
        valid: pixels that count.
    """
    log_targets = jax.lax.stop_gradient(log_targets)
    targets = jnp.exp(log_targets)
    each = jnp.where(targets > 0, targets * (log_targets - log_probs), 0)
    return valid_mean(each.sum(axis=-1), valid)


def uniform_regulariser(
    logits: Float[Array, "*dims k"], valid: Bool[Array, "*dims"]
) -> Float[Array, ""]:
    r"""Return MRKLD, $-\frac{1}{nK} \sum_i \sum_k \log p_{ik}$; at least $\log K$.

    It is $\log K$ plus the divergence of the prediction from the uniform distribution.

    Reference:
        Zou et al., "Confidence Regularized Self-Training", ICCV 2019, Table 1.
    """
    return valid_mean(-jax.nn.log_softmax(logits).mean(axis=-1), valid)


def entropy(
    logits: Float[Array, "*dims k"], valid: Bool[Array, "*dims"]
) -> Float[Array, ""]:
    r"""Return $-\frac{1}{n \log K} \sum_i \sum_k p_{ik} \log p_{ik}$, 0 to 1."""
    log_probs = jax.nn.log_softmax(logits)
    each = -(jnp.exp(log_probs) * log_probs).sum(axis=-1)
    return valid_mean(each, valid) / math.log(logits.shape[-1])


def fooling_loss(
    target: Float[Array, "*dims"], *, kind: Adversarial
) -> Float[Array, ""]:
    r"""Return how far the discriminator is from taking the target for the source.

    $\overline{\log(1 + e^{-z})}$ (`"ce"`) or $\overline{(z - 1)^2}$ (`"ls"`), where
    $z$ are the log-odds of "source".

    Reference:
        Tsai et al., "Learning to Adapt Structured Output Space for Semantic
        Segmentation", CVPR 2018, Equation 4; least squares in their published code.
    """
    if kind == "ce":
        return jax.nn.softplus(-target).mean()
    return ((target - 1) ** 2).mean()


def telling_loss(
    source: Float[Array, "*s"], target: Float[Array, "*t"], *, kind: Adversarial
) -> Float[Array, ""]:
    r"""Return the loss of a discriminator that tells the domains apart.

    $\frac12 \overline{\log(1 + e^{-z_s})} + \frac12 \overline{\log(1 + e^{z_t})}$
    (`"ce"`; $\log 2$ where it cannot), or
    $\frac12 \overline{(z_s - 1)^2} + \frac12 \overline{z_t^2}$ (`"ls"`).
    """
    if kind == "ce":
        return (jax.nn.softplus(-source).mean() + jax.nn.softplus(target).mean()) / 2
    return (((source - 1) ** 2).mean() + (target**2).mean()) / 2

"""Gradient reversal: what a head learns to tell, the features learn to hide."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree


@jax.custom_vjp
def reverse(x: PyTree, strength: Float[Array, ""] | float) -> PyTree:
    r"""Return `x`; the gradient through it is multiplied by `-strength`.

    Args:
        x: arrays, in any tree.
        strength: $\lambda$, at least 0; may be traced. No gradient reaches it.

    Reference:
        Ganin and Lempitsky, "Unsupervised Domain Adaptation by Backpropagation",
        ICML 2015, Equations 10 and 11.
    """
    return x


def _forward(x: PyTree, strength: Any) -> tuple[PyTree, Any]:
    return x, strength


def _backward(strength: Any, cotangent: PyTree) -> tuple[PyTree, Any]:
    reversed_ = jax.tree.map(
        lambda leaf: (-strength * leaf).astype(leaf.dtype), cotangent
    )
    return reversed_, jnp.zeros_like(strength)


reverse.defvjp(_forward, _backward)


def ramp(progress: Float[Array, ""] | float | int, *, gamma: float = 10.0) -> Array:
    r"""Return the strength of the reversal during training.

    $$\lambda_p = \frac{2}{1 + e^{-\gamma p}} - 1 = \tanh(\gamma p / 2)$$

    Args:
        progress: $p$, steps done over all steps, 0 to 1.
        gamma: how fast it rises; 10 as published.

    Reference:
        Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 2016,
        Section 5.2.2.
    """
    return jnp.tanh(jnp.asarray(gamma * progress / 2))


def check_gamma(gamma: float) -> None:
    """Refuse a ramp that would not rise.

    Raises:
        ValueError: a value that is not above 0.
    """
    if not (gamma > 0 and math.isfinite(gamma)):
        raise ValueError(f"gamma: {gamma} must be above 0 and finite")

"""Initial weights by name; every initialiser is one object of this module."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.nn import initializers
from jaxtyping import Array, PRNGKeyArray

KERNELS: dict[str, jax.nn.initializers.Initializer] = {
    "he": initializers.variance_scaling(2.0, "fan_in", "normal"),
    "he_uniform": initializers.variance_scaling(2.0, "fan_in", "uniform"),
    "he_fan_out": initializers.variance_scaling(2.0, "fan_out", "normal"),
    "normal": initializers.normal(0.01),
    "torch": initializers.variance_scaling(1 / 3, "fan_in", "uniform"),
    "zeros": initializers.zeros,
}


def kernel_init(name: str) -> jax.nn.initializers.Initializer:
    """Return the kernel initialiser of that name."""
    if name not in KERNELS:
        known = ", ".join(["paper", *KERNELS])
        raise ValueError(f"unknown init {name!r}; available: {known}")
    return KERNELS[name]


def bias_init(name: str, fan_in: int) -> jax.nn.initializers.Initializer:
    """Return the bias initialiser: zeros, or torch's uniform in +-1/sqrt(fan_in)."""
    if name != "torch":
        return initializers.zeros

    def uniform(
        key: PRNGKeyArray,
        shape: Any,
        dtype: Any = jnp.float32,
        out_sharding: Any = None,
    ) -> Array:
        bound = fan_in**-0.5
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return uniform


def bilinear_kernel(size: int, channels: int) -> Array:
    """Return the transposed-convolution kernel that up-samples bilinearly.

    The weight is a full matrix over classes, diagonal at the start (Long et al.,
    "Fully Convolutional Networks for Semantic Segmentation", 2015).
    """
    factor = (size + 1) // 2
    centre = factor - 1 if size % 2 else factor - 0.5
    line = 1 - jnp.abs(jnp.arange(size) - centre) / factor
    return jnp.einsum("i,j,ab->ijab", line, line, jnp.eye(channels))

"""Initial weights by name; every initialiser is one object of this module."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.nn import initializers
from jaxtyping import Array, PRNGKeyArray

Initializer = jax.nn.initializers.Initializer


def _scaled(scale: float, fan: str, distribution: str) -> Initializer:
    """Return a variance-scaling initialiser that draws on the host.

    `jax.random` compiles anew for every shape, which takes tens of seconds for a
    network of ordinary depth; NumPy draws the same distribution at once. A traced key
    gives only shapes their values: there `jax.nn.initializers` is used.
    """
    traced = initializers.variance_scaling(scale, fan, distribution)  # pyright: ignore

    def initialise(
        key: PRNGKeyArray,
        shape: Any,
        dtype: Any = jnp.float32,
        out_sharding: Any = None,
    ) -> Array:
        if isinstance(key, Tracer):
            return traced(key, shape, dtype)
        rng = _host_rng(key)
        field = math.prod(shape[:-2])
        variance = scale / (field * (shape[-2] if fan == "fan_in" else shape[-1]))
        if distribution == "normal":
            values = rng.normal(size=shape) * variance**0.5
        else:
            values = rng.uniform(-1, 1, size=shape) * (3 * variance) ** 0.5
        return jnp.asarray(values.astype(dtype))

    return initialise


def _host_rng(key: PRNGKeyArray) -> np.random.Generator:
    return np.random.default_rng(np.asarray(jax.random.key_data(key)).reshape(-1))


def _small_normal(
    key: PRNGKeyArray, shape: Any, dtype: Any = jnp.float32, out_sharding: Any = None
) -> Array:
    """Draw from a normal distribution of standard deviation 0.01."""
    if isinstance(key, Tracer):
        return initializers.normal(0.01)(key, shape, dtype)
    return jnp.asarray((0.01 * _host_rng(key).normal(size=shape)).astype(dtype))


KERNELS: dict[str, Initializer] = {
    "he": _scaled(2.0, "fan_in", "normal"),
    "he_uniform": _scaled(2.0, "fan_in", "uniform"),
    "he_fan_out": _scaled(2.0, "fan_out", "normal"),
    "normal": _small_normal,
    "torch": _scaled(1 / 3, "fan_in", "uniform"),
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
        if not isinstance(key, Tracer):
            values = _host_rng(key).uniform(-bound, bound, size=shape)
            return jnp.asarray(values.astype(dtype))
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

"""A teacher: the moving average of the network that learns."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

Step = Int[Array, ""] | int


def ema(teacher: PyTree, student: PyTree, rate: Float[Array, ""] | float) -> PyTree:
    r"""Return $a\, \theta' + (1 - a)\, \theta$; whole numbers are the student's.

    Args:
        teacher: $\theta'$.
        student: $\theta$.
        rate: $a$, 0 to 1.
    """

    def mix(old: Array, new: Array) -> Array:
        if not jnp.issubdtype(old.dtype, jnp.floating):
            return new
        return (rate * old + (1 - rate) * new).astype(old.dtype)

    return jax.tree.map(mix, teacher, student)


def warm_rate(step: Step, *, rate: float) -> Float[Array, ""]:
    r"""Return $\min(1 - 1/(t + 1), a)$: step 0 copies the student.

    Reference:
        Tranheden et al., "DACS: Domain Adaptation via Cross-domain Mixed Sampling",
        WACV 2021; in their published code.
    """
    return jnp.minimum(1 - 1 / (step + 1), rate)


def cosine_rate(step: Step, *, rate: float, steps: int) -> Float[Array, ""]:
    r"""Return $1 - (1 - a)(\cos(\pi t / T) + 1)/2$: from $a$ up to 1.

    Reference:
        Grill et al., "Bootstrap Your Own Latent", NeurIPS 2020, Section 3.2.
    """
    return 1 - (1 - rate) * (jnp.cos(jnp.pi * step / steps) + 1) / 2

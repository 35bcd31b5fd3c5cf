"""Instances of both sides drawn without replacement, as a batch of problems."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Int

from trfjax.transport.problem import Problem
from trfjax.typing import (
    PRNGKeyArray,
)


def _draw(
    key: PRNGKeyArray, side: tuple[Array, ...], count: int, repeats: int
) -> tuple[Array, ...]:
    """Draw rows without replacement, once per repeat; rows of weight 0 come last."""
    weights = side[2]

    def once(k: Array) -> Array:
        order = jax.random.uniform(jax.random.fold_in(key, k), weights.shape)
        return jnp.argsort(jnp.where(weights > 0, order, 2.0))[:count]

    index = lax.map(once, jnp.arange(repeats))
    return tuple(part[index] for part in side)


@functools.partial(jax.jit, static_argnames=("counts", "repeats", "classes"))
def draw_problems(
    source: Any,
    target: Any,
    key: PRNGKeyArray,
    *,
    counts: tuple[int, int],
    repeats: int,
    classes: tuple[int, int],
) -> tuple[Problem, Int[Array, "k m"]]:
    """Draw both sides; return a batch of problems and the target rows drawn."""
    keys = jax.random.split(key)
    drawn = [
        _draw(k, side, count, repeats)
        for k, side, count in zip(keys, (source, target), counts, strict=True)
    ]
    weights = [w / w.sum(axis=1, keepdims=True) for _, _, w, _ in drawn]
    labels = [
        jax.nn.one_hot(y, c, dtype=x.dtype)
        for (x, y, *_), c in zip(drawn, classes, strict=True)
    ]
    return Problem(drawn[0][0], drawn[1][0], *weights, *labels), drawn[1][3]

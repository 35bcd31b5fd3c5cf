"""Our own code under JAX's usual rules of promotion, whatever the caller has set."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import jax

P = ParamSpec("P")
R = TypeVar("R")


def usual_promotion(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function run where `jax_numpy_dtype_promotion` is strict, say.

    Strict rules are for finding slips in the caller's own code. Ours, OTT's and
    Optax's is written for the usual ones.
    """

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with (
            jax.numpy_dtype_promotion("standard"),
            jax.numpy_rank_promotion("allow"),
        ):
            return function(*args, **kwargs)

    return run

"""A score as a compiled function of its arrays."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from trfjax.scores.spec import ScoreSpec


class Forms(NamedTuple):
    """The score as a compiled function of its arrays and the target labels."""

    jitted: Callable[..., Any]
    mapped: Callable[..., Any]  # over the arrays
    gradient: Callable[..., Any]  # by the floating-point arrays


@functools.lru_cache(maxsize=64)
def forms_of(
    spec: ScoreSpec, classes: int, sources: int | None = None, *, floats: tuple
) -> Forms:
    """Return the compiled forms of a score.

    Args:
        spec: the score.
        classes: of the target.
        sources: classes of the source, where the score reads ids of them.
        floats: whether each of its arrays is of floating-point numbers.
    """
    settings = {"num_classes": classes}
    if sources is not None:
        settings["num_source_classes"] = sources

    def call(*arrays: Any) -> Any:
        named: dict[str, Any] = dict(zip(spec.inputs, arrays[:-1], strict=True))
        return spec(named, arrays[-1], **settings, **spec.trial())

    axes = (*(0 for _ in floats), None)
    by = tuple(i for i, is_float in enumerate(floats) if is_float)
    gradient = jax.jit(jax.grad(call, argnums=by)) if by else call
    return Forms(jax.jit(call), jax.jit(jax.vmap(call, in_axes=axes)), gradient)

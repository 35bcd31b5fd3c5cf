"""Scores of resampled images, computed anew with weights."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax import lax
from jaxtyping import Float, Int

from trfjax.scores.spec import ScoreSpec

TOGETHER = 8  # replicates computed at a time


def weighted_replicates(
    spec: ScoreSpec,
    arrays: Mapping[str, np.ndarray],
    labels: np.ndarray,
    images: Int[np.ndarray, " n"],
    multiplicities: Float[np.ndarray, "b i"],
    **settings: Any,
) -> Float[np.ndarray, " b"]:
    """Return the score of every resample of the target images.

    It is computed anew with every pixel weighted by how often its image occurs;
    nothing is approximated.

    Args:
        spec: of a score that takes weights.
        arrays: what it reads, by name.
        labels: of the target pixels.
        images: index of the image of every target pixel.
        multiplicities: how often every image counts in a resample.
        **settings: of the function; values that can be hashed.
    """
    if not spec.transforms:
        found = [
            float(spec(arrays, labels, weights=count[images], **settings))
            for count in np.asarray(multiplicities)
        ]
        return np.asarray(found, np.float64)
    # What is left over of a last batch would be a program of its own: it is filled up.
    count = len(multiplicities)
    rows = np.minimum(np.arange(count + -count % TOGETHER), count - 1)
    found = _replicates(
        {name: arrays[name] for name in spec.inputs},
        labels,
        images,
        np.asarray(multiplicities)[rows],
        spec=spec,
        settings=tuple(sorted(settings.items())),
    )
    return np.asarray(found, np.float64)[:count]


@functools.partial(jax.jit, static_argnames=("spec", "settings"))
def _replicates(
    arrays: dict[str, Any],
    labels: Any,
    images: Any,
    multiplicities: Any,
    *,
    spec: ScoreSpec,
    settings: tuple[tuple[str, Any], ...],
) -> Any:
    def once(count: Any) -> Any:
        return spec(arrays, labels, weights=count[images], **dict(settings))

    return lax.map(once, multiplicities, batch_size=TOGETHER)

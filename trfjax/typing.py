"""Array aliases and the one protocol a feature extractor has to meet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

# What public functions accept: NumPy, JAX or torch arrays. They are checked at the
# door (trfjax.arrays), which knows the argument's name and can say what to do.
ArrayInput: TypeAlias = Any
AnyArray: TypeAlias = Array | np.ndarray

# A count or class number: any integer type is taken at run time, NumPy's too.
if TYPE_CHECKING:
    Count: TypeAlias = int
else:
    Count = int | np.integer

Features: TypeAlias = Float[Array, "n d"]
Probs: TypeAlias = Float[Array, "n z"]
Labels: TypeAlias = Int[Array, " n"]
Weights: TypeAlias = Float[Array, " n"]
Images: TypeAlias = Float[Array, "b h w c"]

FeatureSpace: TypeAlias = Literal["probs", "logits", "penultimate", "levels"]
FEATURE_SPACES: tuple[FeatureSpace, ...] = ("probs", "logits", "penultimate", "levels")

IGNORE = (
    255  # the label of pixels that count for nothing, unless a data set says otherwise
)


class FeatureFn(Protocol):
    """A function from images to logits, or to a mapping of named maps."""

    def __call__(self, images: Any, /) -> Any | Mapping[str, Any]:
        """Return `(b, h, w, k)` logits or a mapping with at least `"logits"`."""
        ...


__all__ = [
    "FEATURE_SPACES",
    "IGNORE",
    "AnyArray",
    "Array",
    "ArrayInput",
    "Count",
    "FeatureFn",
    "FeatureSpace",
    "Features",
    "Images",
    "Labels",
    "PRNGKeyArray",
    "Probs",
    "PyTree",
    "Weights",
]

"""What a ranking was asked for, as a value that is part of every cell's key."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal

from trfjax.scores.registry import SCORES
from trfjax.typing import FEATURE_SPACES, FeatureSpace

METRICS = ("otce", "leep", "nce", "h_score", "logme")
# The feature space a score is computed on unless the caller says otherwise.
SPACES: dict[str, FeatureSpace] = {"otce": "probs", "leep": "probs", "nce": "probs"}


@dataclasses.dataclass(frozen=True)
class Plan:
    """Everything `rank` was asked for."""

    metrics: tuple[str, ...]
    pixels: int | Literal["all"]
    atoms: int
    repeats: int
    epsilon: float
    relative_epsilon: bool
    features: dict[str, FeatureSpace]
    solver: str
    strategy: str
    bootstrap: int
    seed: int

    def __post_init__(self) -> None:
        unknown = [name for name in self.metrics if name not in SCORES]
        if unknown or not self.metrics:
            raise ValueError(
                f"metrics: {unknown[0] if unknown else 'none given'!r} is not a score; "
                f"available: {', '.join(SCORES)}"
            )
        if self.pixels != "all" and isinstance(self.pixels, str):
            raise ValueError(f"pixels: {self.pixels!r} is neither a number nor 'all'")
        for name in ("pixels", "repeats", "atoms"):
            value = getattr(self, name)
            if value != "all" and value < 1:
                raise ValueError(f"{name}: {value} is less than 1")
        if self.bootstrap < 0:
            raise ValueError(f"bootstrap: {self.bootstrap} is negative")
        if not self.epsilon > 0:
            raise ValueError(f"epsilon: {self.epsilon} is not positive")
        if self.pixels == "all":
            _check_all(self)


def _check_all(plan: Plan) -> None:
    """Refuse what only draws of pixels can do."""
    instead = f"pixels='all' takes every pixel; give a number, such as {DRAWN:_}"
    for name, only in (("solver", "fast"), ("strategy", "uniform")):
        if getattr(plan, name) != only:
            raise ValueError(
                f"{name}: {getattr(plan, name)!r} needs draws of pixels. {instead}"
            )
    for metric in plan.metrics:
        if metric not in OF_SUMS:
            raise ValueError(
                f"metrics: {metric!r} is no sum over pixels. {instead}, or leave it out"
            )


DRAWN = 10_000  # pixels of a draw, as published
OF_SUMS = ("otce", "leep", "nce", "h_score", "logme")  # follow from sums over images


def draws_of(
    metrics: Sequence[str],
    pixels: int | Literal["all"] | None,
    solver: str,
    strategy: str,
) -> int | Literal["all"]:
    """Return the pixels of a plan: all of them unless something needs draws."""
    if pixels is not None:
        return pixels
    drawn = solver != "fast" or strategy != "uniform"
    return DRAWN if drawn or not set(metrics) <= set(OF_SUMS) else "all"


def spaces_of(
    metrics: Sequence[str], features: FeatureSpace | Mapping[str, FeatureSpace] | None
) -> dict[str, FeatureSpace]:
    """Return the feature space of every metric."""
    spaces: dict[str, FeatureSpace] = {
        name: SPACES.get(name, "penultimate") for name in metrics
    }
    if isinstance(features, str):
        # LEEP and NCE read predictions; they have no other space.
        features = {n: features for n in metrics if n not in ("leep", "nce")}
    for name, space in (features or {}).items():
        if name not in metrics:
            raise ValueError(f"features: {name!r} is not among the metrics asked for")
        if space not in FEATURE_SPACES:
            raise ValueError(
                f"features: {space!r} is none of {', '.join(FEATURE_SPACES)}"
            )
        spaces[name] = space
    return spaces

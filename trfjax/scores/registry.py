"""The scores by name: what each one takes and what is known to hold for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, TypeAlias

import jax
import numpy as np

from trfjax.scores.hscore import h_score, shrunk_h_score
from trfjax.scores.leep import leep
from trfjax.scores.logme import logme
from trfjax.scores.nce import nce
from trfjax.scores.otce.otce import otce
from trfjax.scores.otce.result import OtceResult
from trfjax.transport.problem import Settings
from trfjax.typing import IGNORE, AnyArray, ArrayInput

Needs: TypeAlias = Literal["probs", "features", "predictions", "otce"]
Invariance: TypeAlias = Literal[
    "order",  # of the instances
    "target_names",  # any ids for the target classes, and ids without an instance
    "source_names",  # any order of the source classes
    "duplicates",  # every instance twice
    "rotation",  # of the features, of both sides together
    "shift",  # by a vector, likewise
    "scale",  # by a number, likewise
    "zero_feature",  # one more feature that is 0 everywhere
]
Direction: TypeAlias = Literal["not lower", "not higher"]
Bounds: TypeAlias = Callable[[np.ndarray, Mapping[str, AnyArray]], tuple[float, float]]

# The arrays a score takes before the target labels, in its order of arguments.
ARRAYS: dict[str, tuple[str, ...]] = {
    "probs": ("probs",),
    "features": ("features",),
    "predictions": ("predictions",),
    "otce": ("source_features", "source_labels", "features"),
}


def unbounded(
    labels: np.ndarray, arrays: Mapping[str, AnyArray]
) -> tuple[float, float]:
    """Return the bounds of a score that may take any value."""
    return -np.inf, np.inf


@dataclasses.dataclass(frozen=True)
class ScoreSpec:
    """A score, what it takes, and the laws `check_score` holds it to.

    `function(*arrays, target_labels, num_classes=, ignore=)` takes the arrays of
    `needs` in the order of `ARRAYS`, and `weights=` where `weighted`. It returns the
    score, or a result with the attribute `score`; larger is more transferable.
    """

    name: str
    function: Callable[..., Any]
    needs: Needs
    bounds: Bounds  # of labels and arrays: the closed interval of values
    invariances: frozenset[Invariance]
    merging_targets: Direction | None = None  # the score after merging two classes
    merging_sources: Direction | None = None
    weighted: bool = True  # weights= are multiplicities, 0 leaves out
    transforms: bool = True  # defined under jit and vmap
    differentiable: bool = True  # in its floating-point arrays
    rtol: float = 1e-5  # of float32 values, relative to max(1, |score|)

    def __post_init__(self) -> None:
        if self.needs not in ARRAYS:
            raise ValueError(
                f"needs: {self.needs!r} is none of {', '.join(map(repr, ARRAYS))}"
            )

    @property
    def arrays(self) -> tuple[str, ...]:
        """The names of the arrays the score takes before the target labels."""
        return ARRAYS[self.needs]

    @property
    def two_sided(self) -> bool:
        """Whether the score looks at source instances too."""
        return self.needs == "otce"

    def __call__(
        self,
        arrays: Mapping[str, ArrayInput],
        target_labels: ArrayInput,
        **settings: Any,
    ) -> Any:
        """Return the score of the arrays, which may hold more than it needs.

        Args:
            arrays: by name, see `ARRAYS`: `probs`, `features` and `predictions` (source
                classes) of the target instances, `source_features`, `source_labels`.
            target_labels: target ids.
            **settings: keyword arguments of the function.

        Raises:
            ValueError: an array that is missing.
        """
        missing = [name for name in self.arrays if name not in arrays]
        if missing:
            raise ValueError(
                f"{self.name}: needs {', '.join(missing)}; got {', '.join(arrays)}"
            )
        given = (arrays[name] for name in self.arrays)
        result = self.function(*given, target_labels, **settings)
        return getattr(result, "score", result)


def _shares(labels: np.ndarray) -> np.ndarray:
    return np.unique(labels, return_counts=True)[1] / labels.size


def _entropy_bounds(
    labels: np.ndarray, arrays: Mapping[str, AnyArray]
) -> tuple[float, float]:
    share = _shares(labels)
    return float(np.sum(share * np.log(share))), 0.0


def _h_bounds(
    labels: np.ndarray, arrays: Mapping[str, AnyArray]
) -> tuple[float, float]:
    features = np.asarray(arrays["features"])
    rank = min(features.shape[-1], features.size // features.shape[-1] - 1)
    return 0.0, float(min(len(_shares(labels)) - 1, rank))


def _shrunk_bounds(
    labels: np.ndarray, arrays: Mapping[str, AnyArray]
) -> tuple[float, float]:
    # The published divisors raise it by n / (n - 1).
    return 0.0, _h_bounds(labels, arrays)[1] * labels.size / max(labels.size - 1, 1)


def laws(*invariances: Invariance) -> frozenset[Invariance]:
    """Return these invariances and the two that every score has."""
    return frozenset[Invariance](("order", "target_names", *invariances))


def _otce_of_any_features(
    source_features: ArrayInput,
    source_labels: ArrayInput,
    features: ArrayInput,
    target_labels: ArrayInput,
    **settings: Any,
) -> OtceResult:
    """OTCE as a score of arrays alone: relative epsilon, tight, one key for all."""
    double = jax.dtypes.canonicalize_dtype(np.float64) == np.float64
    tight = 1e-11 if double else 1e-5
    return otce(
        source_features, source_labels, features, target_labels,
        key=0, repeats=2, feature_space="penultimate", relative_epsilon=True,
        settings=Settings(tolerance=tight, joint_tolerance=tight), **settings,
    )  # fmt: skip


SCORES: dict[str, ScoreSpec] = {
    spec.name: spec
    for spec in (
        ScoreSpec(
            "leep", leep, "probs", _entropy_bounds, laws("source_names", "duplicates"),
            merging_targets="not lower", rtol=1e-6,
        ),
        ScoreSpec(
            "nce", nce, "predictions", _entropy_bounds,
            laws("source_names", "duplicates"),
            merging_targets="not lower", merging_sources="not higher", rtol=1e-6,
            differentiable=False,
        ),
        ScoreSpec(
            "h_score", h_score, "features", _h_bounds,
            laws("duplicates", "rotation", "shift", "scale", "zero_feature"),
            merging_targets="not higher", rtol=1e-4,
        ),
        ScoreSpec(
            "shrunk_h_score", shrunk_h_score, "features", _shrunk_bounds,
            laws("rotation", "shift", "scale"),
            merging_targets="not higher", rtol=1e-4,
        ),
        ScoreSpec(
            "logme", logme, "features", unbounded,
            laws("rotation", "scale", "zero_feature"), rtol=1e-5,
        ),
        ScoreSpec(
            "otce", _otce_of_any_features, "otce", _entropy_bounds,
            laws("source_names", "duplicates", "rotation", "shift", "scale",
                 "zero_feature"),
            merging_targets="not lower", merging_sources="not higher", weighted=False,
            rtol=1e-4,
        ),
    )
}  # fmt: skip


def evaluate(
    name: str,
    arrays: Mapping[str, ArrayInput],
    target_labels: ArrayInput,
    *,
    num_classes: int | None = None,
    ignore: int | Collection[int] = IGNORE,
    **settings: Any,
) -> Any:
    """Return a registered score by its name.

    Args:
        name: a key of `SCORES`.
        arrays: what a source model says of the target instances, by name; see
            `ScoreSpec`. A score takes what it needs and leaves the rest.
        target_labels: target ids.
        num_classes: number of target classes; None re-indexes the ids present.
        ignore: the label that counts for nothing.
        **settings: further keyword arguments of the score.

    Raises:
        ValueError: an unknown name, or an array that is missing.
    """
    if name not in SCORES:
        raise ValueError(f"unknown score {name!r}; available: {', '.join(SCORES)}")
    return SCORES[name](
        arrays, target_labels, num_classes=num_classes, ignore=ignore, **settings
    )

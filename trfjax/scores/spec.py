"""What a score is: all that ranking, intervals, plots, report and commands know of it.

A file of a score ends with its `SPEC`, and `SCORES` names the file; see there.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, get_args

import jax
import numpy as np
from jaxtyping import Float

from trfjax.scores.vocabulary import Input, Law, Setting, Table
from trfjax.typing import FEATURE_SPACES, AnyArray, ArrayInput, FeatureSpace

Direction: TypeAlias = Literal["not lower", "not higher"]
Trait: TypeAlias = Literal["width", "architecture", "size"]
LabelKind: TypeAlias = Literal["ids", "values", "none"]
Bounds: TypeAlias = Callable[[np.ndarray, Mapping[str, AnyArray]], tuple[float, float]]
Floor: TypeAlias = Callable[[Float[np.ndarray, " c"]], float]
Limits: TypeAlias = Callable[[Float[np.ndarray, " c"]], tuple[float, float]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Explained:
    """The share of what there is above the floor: 0 at the floor, at most 1.

    `share(score, class_shares)` returns it; `of` is the noun: "the label entropy".
    """

    share: Callable[[float, Float[np.ndarray, " c"]], float]
    of: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class OfSums:
    """A score of every pixel, from sums over images.

    `replicates(*tables, multiplicities, **settings)` takes `(b, i)`, how often every
    image counts, and returns `(b,)`: a row of ones gives the score itself, NaN stands
    where a resample has none. `score(*tables, **settings)` returns a result with parts
    where there are some, which `replicates` is then given as `result=`. `doubt(result)`
    says why sums do not tell the score, so that pixels are better drawn; "" where they
    do.
    """

    tables: tuple[Table, ...]
    replicates: Callable[..., np.ndarray]
    score: Callable[..., Any] | None = None
    doubt: Callable[[Any], str] | None = None
    settings: tuple[Setting, ...] = ()  # of `replicates` and `score`


def _same(value: Any) -> Any:
    return value


@dataclasses.dataclass(frozen=True, kw_only=True)
class PerInstance:
    """A score as a mean over target instances.

    `fit(*inputs, target_labels, num_classes=)` takes what the score takes and returns
    what all instances say together. `score(fitted, *target inputs, target_labels)`
    returns `(n,)`, of any target instances. Where `additive`, what `fit` returns of two
    parts of the target adds up to that of both, leaf by leaf, so that no more than a
    part is in memory; `finish` then turns the sum into what `score` takes.
    `cells(*inputs, target_labels, num_classes=)` is both at once for many small
    targets: its arrays have a leading axis of cells, `(k, n, ...)`, and labels of -1
    where there is no instance, whose features are finite. It returns `(k, n)`.
    """

    fit: Callable[..., Any]
    score: Callable[..., np.ndarray]
    cells: Callable[..., np.ndarray]
    additive: bool
    finish: Callable[[Any], Any] = _same

    def fitted(self, parts: Iterable[Sequence[np.ndarray]], **known: Any) -> Any:
        """Return what the parts of a target say together; one part if not additive."""
        said = (self.fit(*part, **known) for part in parts)
        add = functools.partial(jax.tree.map, np.add)
        return self.finish(functools.reduce(add, said))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoreSpec:
    """A score, what it takes and gives, and the laws `check_score` holds it to.

    `function(*inputs, target_labels, num_classes=, ignore=)` returns the score, or a
    result with the attribute `score` and, where it has one, `standard_error`. It takes
    `weights=` where `weighted`, `num_source_classes=` where it reads source ids, and
    what `settings` names. With `labels="none"` it takes no target labels, nor their
    number or what to ignore. Larger is more transferable.
    """

    name: str
    function: Callable[..., Any]
    inputs: tuple[Input, ...]  # in the order of its arguments
    title: str  # in plots and reports
    unit: str  # "" where there is none
    bounds: Bounds  # of target labels and arrays: the closed interval of values
    laws: frozenset[Law]
    floor: Floor | None = None  # of class shares: what a useless source reaches
    limits: Limits | None = None  # of class shares: values any images can have
    explained: Explained | None = None  # None: nobody knows what a perfect source gets
    # What the scale of the score depends on: the width of the features, the
    # architecture (where it reads probabilities), the size of the images.
    sensitive: tuple[Trait, ...] = ()
    labels: LabelKind = "ids"  # what the target labels are
    space: FeatureSpace = "penultimate"  # of the features, atoms and moments it reads
    settings: tuple[Setting, ...] = ()  # of a ranking, that the function takes
    details: Callable[[Any], dict[str, Any]] | None = None  # of a result, for a record
    # The score of resampled images from the result on drawn pixels, where that is
    # cheaper than anew: (result, labels=, images=, resamples=, seed=) -> (b,).
    resampled: Callable[..., np.ndarray] | None = None
    of_sums: OfSums | None = None  # None: no form in sums, so pixels are drawn
    per_instance: PerInstance | None = None
    smooth: bool = True  # in the images, so that the jackknife can tell its bias
    weighted: bool = True  # weights= are multiplicities, 0 leaves out
    merging_targets: Direction | None = None  # the score after merging two classes
    merging_sources: Direction | None = None
    transforms: bool = True  # defined under jit and vmap
    differentiable: bool = True  # in its floating-point arrays
    rtol: float = 1e-5  # of float32 values, relative to max(1, |score|)
    trial: Callable[[], dict[str, Any]] = dict  # settings `check_score` adds

    def __post_init__(self) -> None:
        of_sums = self.of_sums.tables if self.of_sums is not None else ()
        for name, given, known in (
            ("inputs", self.inputs, get_args(Input)),
            ("settings", self.settings, get_args(Setting)),
            ("of_sums", of_sums, get_args(Table)),
        ):
            for value in given:
                if value not in known:
                    raise ValueError(
                        f"{name}: {value!r} is none of {', '.join(map(repr, known))}"
                    )

    @property
    def two_sided(self) -> bool:
        """Whether the score looks at source instances too."""
        return any(name.startswith("source_") for name in self.inputs)

    @property
    def any_space(self) -> bool:
        """Whether it reads any feature space, and not only its own."""
        return any(name.endswith("_features") for name in self.inputs)

    @property
    def source_ids(self) -> tuple[str, ...]:
        """The inputs that are ids of source classes."""
        ids = ("_predictions", "source_labels")
        return tuple(name for name in self.inputs if name.endswith(ids))

    @property
    def label(self) -> str:
        """Title and unit, for an axis."""
        return f"{self.title} ({self.unit or 'no unit'})"

    def in_space(self, space: str) -> ScoreSpec:
        """Return the score of another feature space, named `name@space`.

        Raises:
            ValueError: no such space, or a score that reads its own and no other.
        """
        if space not in FEATURE_SPACES:
            raise ValueError(
                f"metrics: {self.name}@{space}: {space!r} is none of "
                f"{', '.join(FEATURE_SPACES)}"
            )
        if not self.any_space:
            raise ValueError(
                f"metrics: {self.name}@{space}: {self.name!r} reads {self.space!r} and "
                "no other"
            )
        name, title = f"{self.name}@{space}", f"{self.title}, {space}"
        return dataclasses.replace(self, name=name, title=title, space=space)

    def run(
        self,
        arrays: Mapping[str, ArrayInput],
        target_labels: ArrayInput,
        **settings: Any,
    ) -> Any:
        """Return what the function returns on the arrays of its inputs.

        Args:
            arrays: by name, see `Input`; there may be more than it needs.
            target_labels: target ids, or values; not looked at where it needs none.
            **settings: keyword arguments of the function.

        Raises:
            ValueError: an array that is missing.
        """
        missing = [name for name in self.inputs if name not in arrays]
        if missing:
            raise ValueError(
                f"{self.name}: needs {', '.join(missing)}; got {', '.join(arrays)}"
            )
        given = [arrays[name] for name in self.inputs]
        if self.labels == "none":
            for name in ("num_classes", "ignore"):
                settings.pop(name, None)
            return self.function(*given, **settings)
        return self.function(*given, target_labels, **settings)

    def __call__(
        self,
        arrays: Mapping[str, ArrayInput],
        target_labels: ArrayInput,
        **settings: Any,
    ) -> Any:
        """Return the score alone; takes what `run` takes."""
        result = self.run(arrays, target_labels, **settings)
        return getattr(result, "score", result)


def laws(*names: Law) -> frozenset[Law]:
    """Return these laws and the two that every score keeps."""
    return frozenset[Law](("order", "target_names", *names))


def shares(labels: np.ndarray) -> Float[np.ndarray, " c"]:
    """Return the share of every class that is present."""
    return np.unique(labels, return_counts=True)[1] / labels.size

"""Candidates for a ranking, and what they show of their images and of the target's."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeAlias

from trfjax.data.dataset import Dataset
from trfjax.data.given import as_dataset
from trfjax.features.compressed import CompressedSet
from trfjax.features.extract import extract
from trfjax.features.extract_all import extract_all
from trfjax.features.featureset import FeatureSet
from trfjax.files import digest
from trfjax.ranking.needs import check_options, compressed, needed_spaces, needed_tables
from trfjax.ranking.plan import Plan
from trfjax.scores.spec import ScoreSpec

Side: TypeAlias = Literal["source", "target"]


@dataclasses.dataclass(frozen=True)
class Source:
    """A candidate: a trained network, and labelled images it knows.

    The images, anything that `as_dataset` takes, are needed by scores that look at
    source instances. The name may be left out, `Source(model, data=...)`, where a
    mapping of candidates gives it. The keys of `options` are `layer` (the torch module
    whose output is the penultimate features), `preprocessing`, `class_names`, `name`
    and `digest`; see `as_predictor`.
    """

    name: Any  # a text
    model: Any = None  # TrainedModel, a callable, or a torch module
    data: Any = None
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            if self.model is not None:
                raise TypeError(f"name: {type(self.name).__name__} is not a text")
            object.__setattr__(self, "model", self.name)
            object.__setattr__(self, "name", "")
        check_options(self.name, self.options)
        if self.data is not None:
            title = f"data of {self.name}" if self.name else "source data"
            object.__setattr__(self, "data", as_dataset(self.data, name=title))


@dataclasses.dataclass(frozen=True)
class SavedSource:
    """A candidate of which only features are at hand, no model."""

    name: str
    target: FeatureSet | CompressedSet
    source: FeatureSet | CompressedSet | None = None


class Seen:
    """The features of one candidate on either side, extracted once, when needed."""

    def __init__(
        self,
        source: Source | SavedSource,
        target: Dataset | None,
        plan: Plan,
        extraction: Mapping[str, Any],
    ) -> None:
        """Nothing is run yet.

        Args:
            source: the candidate.
            target: labelled target images; None for saved features.
            plan: what is wanted of them.
            extraction: further options of `extract`.
        """
        self.candidate, self.target, self.plan = source, target, plan
        self._extraction = {"seed": plan.seed, **extraction}
        self._made: dict[Side, dict[str, Any]] = {"source": {}, "target": {}}
        self._hashes: dict[int, str] = {}

    def whole(self, side: Side) -> CompressedSet:
        """Return all pixels of a side, compressed.

        Raises:
            ValueError: a side that the candidate does not have.
        """
        return self._once("whole", side, self._whole)

    def drawn(self, side: Side) -> FeatureSet:
        """Return drawn pixels of a side.

        Raises:
            ValueError: a side that the candidate does not have, or that is compressed.
        """
        return self._once("drawn", side, self._drawn)

    @property
    def drawable(self) -> bool:
        """Whether there are single pixels to draw on every side."""
        if isinstance(self.candidate, Source):
            return True
        sides = self.candidate.source, self.candidate.target
        return not any(isinstance(side, CompressedSet) for side in sides)

    def drawing(self, plan: Plan) -> Seen:
        """Return the same candidate for a plan that draws pixels."""
        return Seen(self.candidate, self.target, plan, self._extraction)

    def facing(self, target: Dataset) -> Seen:
        """Return the same candidate before another target; its own side is kept."""
        found = Seen(self.candidate, target, self.plan, self._extraction)
        found._made["source"] = self._made["source"]
        return found

    def labelled(self, spec: ScoreSpec) -> FeatureSet | CompressedSet:
        """Return the target side in the form that a score takes.

        Raises:
            ValueError: labels of a single class, of which nothing can be said.
        """
        whole = self.plan.pixels[spec.name] == "all"
        found = self.whole("target") if whole else self.drawn("target")
        if spec.labels == "ids" and (found.label_counts.sum(axis=0) > 0).sum() < 2:
            raise ValueError(
                f"{target_name(self.candidate, self.target)}: the labelled pixels are "
                "of one class, so every score is the same; label images that show "
                "more classes"
            )
        return found

    def content(self, spec: ScoreSpec) -> str:
        """Return a hash of all that a score reads; it need not know its origin."""
        make = self.whole if self.plan.pixels[spec.name] == "all" else self.drawn
        sides: tuple[Side, ...] = (
            ("source", "target") if spec.two_sided else ("target",)
        )
        return digest(*(self._hash(make(side)) for side in sides))

    def _hash(self, features: FeatureSet | CompressedSet) -> str:
        if id(features) not in self._hashes:
            self._hashes[id(features)] = digest(*features.parts)
        return self._hashes[id(features)]

    def _once(self, kind: str, side: Side, make: Callable[[Side], Any]) -> Any:
        """Make it at the first call; a failure is raised again at every other."""
        made = self._made[side]
        try:
            found = made[kind] if kind in made else make(side)
        except Exception as error:
            found = error
        made[kind] = found
        if isinstance(found, Exception):
            raise found
        return found

    def _whole(self, side: Side) -> CompressedSet:
        if isinstance(self.candidate, SavedSource):
            return compressed(self._saved(side), self.plan, side)
        into = needed_tables(self.plan, side)
        return extract_all(
            self.candidate.model,
            self._data(side),
            atoms=into.atoms,
            moments=into.moments,
            **self._extraction,
            **self.candidate.options,
        )

    def _drawn(self, side: Side) -> FeatureSet:
        if isinstance(self.candidate, SavedSource):
            found = self._saved(side)
            if isinstance(found, CompressedSet):
                raise ValueError(
                    f"{self.candidate.name}: compressed features hold no single pixels "
                    "to draw; rank them with scores of all pixels"
                )
            return found
        return extract(
            self.candidate.model,
            self._data(side),
            spaces=needed_spaces(self.plan),
            pixels=self.plan.kept,
            strategy=self.plan.strategy,
            **self._extraction,
            **self.candidate.options,
        )

    def _saved(self, side: Side) -> FeatureSet | CompressedSet:
        assert isinstance(self.candidate, SavedSource)
        found = getattr(self.candidate, side)
        if found is None:
            raise ValueError(
                f"{self.candidate.name}: no features of source images, which this "
                "score looks at; save them too, or leave it out of the metrics"
            )
        return found

    def _data(self, side: Side) -> Dataset:
        assert isinstance(self.candidate, Source)
        data = self.target if side == "target" else self.candidate.data
        if data is None:
            raise ValueError(
                f"{self.candidate.name}: this score compares target pixels with "
                "labelled source pixels; give the source its data, or leave the score "
                "out of the metrics"
            )
        return data


def candidates(
    sources: Iterable[Source | SavedSource] | Mapping[str, Any],
) -> list[Source | SavedSource]:
    """Return the candidates as a list, those of a mapping under its names.

    Args:
        sources: `Source` and `SavedSource` values; or a mapping from names to
            networks, `Source` values, features of the target, or pairs of features
            `(source, target)`.

    Raises:
        TypeError: a pair of something else.
    """
    if not isinstance(sources, Mapping):
        return list(sources)
    return [_candidate(str(name), given) for name, given in sources.items()]


def _candidate(name: str, given: Any) -> Source | SavedSource:
    if isinstance(given, Source | SavedSource):
        return dataclasses.replace(given, name=name)
    if isinstance(given, FeatureSet | CompressedSet):
        return SavedSource(name, given)
    if isinstance(given, tuple):
        kinds = [type(part).__name__ for part in given]
        features = [
            part for part in given if isinstance(part, FeatureSet | CompressedSet)
        ]
        if len(given) != 2 or len(features) != 2:
            raise TypeError(
                f"sources: {name!r} is a tuple of {', '.join(kinds)}; expected a "
                "network, a Source, features of the target, or a pair of features "
                "(source, target), as FeatureSet.from_arrays makes them"
            )
        return SavedSource(name, target=features[1], source=features[0])
    return Source(name, given)


def target_name(source: Source | SavedSource, target: Dataset | None) -> str:
    """Return what the target is called."""
    if target is not None:
        return target.name
    assert isinstance(source, SavedSource)
    return str(source.target.facts.get("data", "saved features"))

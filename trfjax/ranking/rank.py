"""The main job: several sources, one target, several scores, best first."""

from __future__ import annotations

import dataclasses
import logging
import platform
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

from trfjax.atoms.compress import ATOMS
from trfjax.data.dataset import Dataset
from trfjax.errors import DataError, ScoreWarning
from trfjax.features.compressed import CompressedSet
from trfjax.features.extract import extract, extract_all
from trfjax.features.featureset import FeatureSet
from trfjax.files import digest, write_json
from trfjax.ranking.bootstrap import Resamples
from trfjax.ranking.cell import Cell, read_cell, write_cell
from trfjax.ranking.compressed import compressed, needed_spaces, score_compressed
from trfjax.ranking.drawn import score_drawn
from trfjax.ranking.plan import METRICS, Plan, draws_of, spaces_of
from trfjax.ranking.result import Ranking
from trfjax.scores.registry import SCORES
from trfjax.typing import FEATURE_SPACES, FeatureSpace

log = logging.getLogger("trfjax")

VERSION = 2  # of how cells are computed; part of their key


@dataclasses.dataclass(frozen=True)
class Source:
    """A candidate: a trained network and, for OTCE, labelled images it knows."""

    name: str
    model: Any  # TrainedModel, a callable, or a torch module
    data: Dataset | None = None
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # of extract


@dataclasses.dataclass(frozen=True)
class SavedSource:
    """A candidate of which only features are at hand, no model."""

    name: str
    target: FeatureSet | CompressedSet
    source: FeatureSet | CompressedSet | None = None


def rank(
    sources: Iterable[Source | SavedSource],
    target: Dataset | None = None,
    *,
    metrics: Sequence[str] = METRICS,
    pixels: int | Literal["all"] | None = None,
    atoms: int = ATOMS,
    repeats: int = 10,
    epsilon: float = 0.1,
    relative_epsilon: bool = False,
    features: FeatureSpace | Mapping[str, FeatureSpace] | None = None,
    solver: str = "fast",
    strategy: str = "uniform",
    bootstrap: int = 200,
    seed: int = 0,
    batch_size: int = 8,
    out: str | Path | None = None,
    cache: str | Path | bool | None = None,
    strict: bool = False,
    progress: bool = True,
) -> Ranking:
    """Rank source models for a target by analytical transferability scores.

    Every source is run over the target images, and over its own images for OTCE;
    nothing is trained. With `pixels="all"` every pixel counts: OTCE couples the atoms
    that the pixels of each side are compressed into, and the other scores are sums
    over images. With a number, up to `pixels * repeats` pixels are kept of each side,
    the same target pixels for every source; OTCE averages over `repeats` draws of
    `pixels` from each side, and the other scores use every pixel kept. Intervals and
    the probability of being best come from resampling the target images, the same for
    all sources.

    Args:
        sources: candidates with different names.
        target: the few labelled target images; None when all sources are saved.
        metrics: names of scores; the first orders the result.
        pixels: `"all"`, or N, the pixels drawn from each side for one OTCE draw, as
            published with 10,000. None takes all, unless a score, the solver or the
            strategy needs draws.
        atoms: points that all pixels of a side are compressed into at most.
        repeats: K, draws OTCE is averaged over.
        epsilon: entropic regularisation of OTCE.
        relative_epsilon: measure epsilon in mean costs.
        features: feature space of every score, or by score. By default
            probabilities for OTCE, LEEP and NCE, penultimate features for the others
            (logits where a saved source has nothing else).
        solver: of OTCE: `"fast"`, `"ott"` or `"exact"`.
        strategy: how pixels are drawn: uniform, balanced, boundary or per_image.
        bootstrap: number of resamples of the target images; 0 for none.
        seed: of every random choice.
        batch_size: images a network sees at a time.
        out: folder for one JSON record per finished cell; a second call with the same
            inputs reads them back instead of computing.
        cache: where extracted features are kept; see `extract`.
        strict: raise on the first failing source instead of listing it.
        progress: show a progress bar.

    Returns:
        The ranking. A source that fails is listed with its error, the others are
        ranked.

    Raises:
        ValueError: settings or sources that cannot be used, a target with one class.
    """
    sources = list(sources)
    plan = Plan(
        tuple(metrics), draws_of(metrics, pixels, solver, strategy), atoms, repeats,
        float(epsilon), relative_epsilon, spaces_of(metrics, features), solver,
        strategy, bootstrap, seed,
    )  # fmt: skip
    _check(sources, target)
    started = time.perf_counter()
    cells: list[Cell] = []
    classes: dict[str, tuple[str, ...]] = {}
    target_classes = target.class_names if target is not None else ()
    run = _Run(plan, target, batch_size, cache, None if out is None else Path(out))
    for source in _progress(sources, progress):
        # A user's network may raise anything at all: it is listed, the others go on.
        try:
            found, names = run.source(source)
        except Exception as error:
            if strict:
                raise
            log.warning("%s: %s: %s", source.name, type(error).__name__, error)
            found, names = run.failed(source, error), ()
        cells += found
        classes[source.name] = names
    ranking = Ranking(
        target=run.target_name(sources),
        metrics=plan.metrics,
        cells=tuple(cells),
        settings=dataclasses.asdict(plan),
        versions=versions(),
        source_classes=classes,
        target_classes=target_classes or run.target_classes,
        seconds=time.perf_counter() - started,
    )
    if run.out is not None:
        _write(ranking, run.out)
    return ranking


def versions() -> dict[str, str]:
    """Return the versions and the device that numbers were made with."""
    names = ("trfjax", "jax", "flax", "ott-jax", "optax", "numpy")
    device = jax.devices()[0]
    return {
        **{name: version(name) for name in names},
        "python": platform.python_version(),
        "device": f"{device.platform} ({device.device_kind})",
    }


def _progress(sources: list[Any], wanted: bool) -> Iterable[Any]:
    from tqdm.auto import tqdm

    # disable=None: shown on a terminal only.
    return tqdm(sources, desc="rank", unit="source", disable=None if wanted else True)


def _check(sources: list[Source | SavedSource], target: Dataset | None) -> None:
    """Refuse what cannot work, before any heavy work starts."""
    if not sources:
        raise ValueError("sources: none given")
    names = [source.name for source in sources]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"sources: the name {sorted(twice)[0]!r} occurs twice")
    for source in sources:
        if isinstance(source, Source) and target is None:
            raise ValueError(
                f"target: needed, since {source.name!r} is a model that has to see it"
            )
    if target is not None:
        _check_contrast(target)


def _check_contrast(target: Dataset) -> None:
    """Refuse a target that shows fewer than two classes; looks no further than two."""
    if len(target) == 0:
        raise ValueError(f"target: {target.name} holds no image")
    seen: set[int] = set()
    for example in target:
        seen |= set(np.unique(example["label"]).tolist()) - {target.ignore}
        if len(seen) > 1:
            return
    raise ValueError(
        f"target: the labels of {target.name} show {len(seen)} class, so every score "
        "is the same or undefined; label images that show more classes"
    )


class _Run:
    """The work of one `rank` call."""

    def __init__(
        self,
        plan: Plan,
        target: Dataset | None,
        batch_size: int,
        cache: str | Path | bool | None,
        out: Path | None,
    ) -> None:
        self.plan, self.target, self.out = plan, target, out
        self.extraction = {"batch_size": batch_size, "cache": cache}
        self.target_classes: tuple[str, ...] = ()

    def target_name(self, sources: list[Any]) -> str:
        """Return what the target is called."""
        if self.target is not None:
            return self.target.name
        return str(sources[0].target.facts.get("data", "saved features"))

    def failed(self, source: Any, error: Exception) -> list[Cell]:
        """Return the cells of a source that could not be used."""
        text = f"{type(error).__name__}: {error}"
        name = self.target_name([source])
        return [
            Cell(source.name, name, metric, status="failed", error=text)
            for metric in self.plan.metrics
        ]

    def source(self, source: Any) -> tuple[list[Cell], tuple[str, ...]]:
        """Return the cells of one source and the names of its classes."""
        target = self._features(source, "target")
        self.target_classes = target.class_names
        if (target.label_counts.sum(axis=0) > 0).sum() < 2:
            raise ValueError(
                f"{self.target_name([source])}: the labelled pixels are of one class, "
                "so every score is the same; label images that show more classes"
            )
        two_sided = any(SCORES[m].two_sided for m in self.plan.metrics)
        own = self._features(source, "source") if two_sided else None
        content = "" if self.out is None else _content(own, target)
        cells = [
            self._cell(source, metric, own, target, content)
            for metric in self.plan.metrics
        ]
        return cells, target.source_class_names

    def _features(self, source: Any, side: str) -> FeatureSet | CompressedSet:
        whole = self.plan.pixels == "all"
        if isinstance(source, SavedSource):
            found = source.target if side == "target" else source.source
            if found is None:
                raise ValueError(f"{source.name}: OTCE needs features of source images")
            if whole:
                return compressed(found, self.plan)
            if isinstance(found, CompressedSet):
                raise ValueError(
                    f"{source.name}: compressed features hold no single pixels to "
                    "draw; rank them with pixels='all'"
                )
            return found
        data = self.target if side == "target" else source.data
        if data is None:
            raise ValueError(
                f"{source.name}: OTCE couples target pixels with labelled source "
                "pixels; give the source its data, or leave 'otce' out of the metrics"
            )
        common = {"progress": False, "seed": self.plan.seed, **self.extraction}
        if whole:
            atoms, moments = needed_spaces(self.plan, side)
            return extract_all(
                source.model, data, atoms=atoms, moments=moments, **common,
                **source.options,
            )  # fmt: skip
        assert self.plan.pixels != "all"  # so that types are known
        needed = {space for space in self.plan.features.values()} | {"probs"}
        return extract(
            source.model, data,
            spaces=tuple(space for space in FEATURE_SPACES if space in needed),
            pixels=self.plan.pixels * self.plan.repeats,
            strategy=self.plan.strategy, **common, **source.options,
        )  # fmt: skip

    def _cell(
        self,
        source: Any,
        metric: str,
        own: Any,
        target: Any,
        content: str,
    ) -> Cell:
        """Compute one cell, or read it back when it is already there."""
        path = None
        if self.out is not None:
            path = self.out / "cells" / f"{self._key(metric, content)}.json"
            if path.is_file():
                try:
                    return dataclasses.replace(read_cell(path), source=source.name)
                except DataError as error:
                    log.warning("%s; computed again", error)
        started = time.perf_counter()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ScoreWarning)
            cell = self._score(source, metric, own, target)
        cell = dataclasses.replace(
            cell,
            seconds=time.perf_counter() - started,
            warnings=tuple(
                str(w.message) for w in caught if issubclass(w.category, ScoreWarning)
            ),
        )
        if path is not None:
            write_cell(path, cell)
        return cell

    def _score(self, source: Any, metric: str, own: Any, target: Any) -> Cell:
        score = score_compressed if self.plan.pixels == "all" else score_drawn
        resamples = self._resamples(len(target.image_ids))
        found = score(metric, own, target, self.plan, resamples)
        return Cell(source.name, self.target_name([source]), metric, **found)

    def _resamples(self, images: int) -> Resamples | None:
        """Return the resamples of the target images, the same for all sources."""
        if not self.plan.bootstrap:
            return None
        if images < 2:
            warnings.warn(
                "a single target image cannot be resampled, so there is no interval",
                ScoreWarning, stacklevel=2,
            )  # fmt: skip
            return None
        return Resamples.draw(images, self.plan.bootstrap, seed=self.plan.seed)

    def _key(self, metric: str, content: str) -> str:
        return digest(VERSION, metric, dataclasses.asdict(self.plan), content)


def _content(own: Any, target: Any) -> str:
    """Return a hash of all that is scored; features need not know their origin."""
    return digest(*(part for s in (own, target) if s is not None for part in s.parts))


def _write(ranking: Ranking, folder: Path) -> None:
    """Write what is derived from the cells."""
    writers: dict[str, Callable[[Path], Any]] = {
        "results.csv": ranking.to_csv,
        "results.json": ranking.to_json,
        "results.parquet": ranking.to_parquet,
    }
    for name, write in writers.items():
        write(folder / name)
    write_json(folder / "env.json", ranking.versions)

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
from typing import Any

import jax
import numpy as np

from trfjax.data.dataset import Dataset
from trfjax.errors import DataError, ScoreWarning
from trfjax.features.extract import extract
from trfjax.features.featureset import FeatureSet
from trfjax.files import digest, write_json
from trfjax.ranking.bootstrap import (
    image_multiplicities,
    otce_replicates,
    target_only_replicates,
)
from trfjax.ranking.cell import Cell, read_cell, write_cell
from trfjax.ranking.result import Ranking
from trfjax.scores.otce import OtceResult, otce
from trfjax.scores.registry import SCORES
from trfjax.typing import FEATURE_SPACES, FeatureSpace

log = logging.getLogger("trfjax")

METRICS = ("otce", "leep", "nce", "h_score", "logme")
# The feature space a score is computed on unless the caller says otherwise.
SPACES: dict[str, FeatureSpace] = {"otce": "probs", "leep": "probs", "nce": "probs"}
VERSION = 1  # of how cells are computed; part of their key


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
    target: FeatureSet
    source: FeatureSet | None = None


@dataclasses.dataclass(frozen=True)
class Plan:
    """Everything `rank` was asked for."""

    metrics: tuple[str, ...]
    pixels: int
    repeats: int
    epsilon: float
    relative_epsilon: bool
    features: dict[str, FeatureSpace]
    solver: str
    strategy: str
    bootstrap: int
    seed: int


def rank(
    sources: Iterable[Source | SavedSource],
    target: Dataset | None = None,
    *,
    metrics: Sequence[str] = METRICS,
    pixels: int = 10_000,
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
    nothing is trained. Up to `pixels * repeats` pixels are kept of each side, the same
    target pixels for every source. OTCE averages over `repeats` draws of `pixels` from
    each side; the other scores use every pixel kept. Intervals and the probability of
    being best come from resampling the target images, the same for all sources.

    Args:
        sources: candidates with different names.
        target: the few labelled target images; None when all sources are saved.
        metrics: names of scores; the first orders the result.
        pixels: N, pixels drawn from each side for one OTCE draw.
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
        tuple(metrics), pixels, repeats, float(epsilon), relative_epsilon,
        _spaces(metrics, features), solver, strategy, bootstrap, seed,
    )  # fmt: skip
    _check(sources, target, plan)
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


def _spaces(
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


def _check(
    sources: list[Source | SavedSource], target: Dataset | None, plan: Plan
) -> None:
    """Refuse what cannot work, before any heavy work starts."""
    if not sources:
        raise ValueError("sources: none given")
    names = [source.name for source in sources]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"sources: the name {sorted(twice)[0]!r} occurs twice")
    unknown = [name for name in plan.metrics if name not in SCORES]
    if unknown or not plan.metrics:
        raise ValueError(
            f"metrics: {unknown[0] if unknown else 'none given'!r} is not a score; "
            f"available: {', '.join(SCORES)}"
        )
    for name in ("pixels", "repeats"):
        if getattr(plan, name) < 1:
            raise ValueError(f"{name}: {getattr(plan, name)} is less than 1")
    if plan.bootstrap < 0:
        raise ValueError(f"bootstrap: {plan.bootstrap} is negative")
    if not plan.epsilon > 0:
        raise ValueError(f"epsilon: {plan.epsilon} is not positive")
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
        known = np.unique(target.labels)
        if len(known) < 2:
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

    def _features(self, source: Any, side: str) -> FeatureSet:
        if isinstance(source, SavedSource):
            found = source.target if side == "target" else source.source
            if found is None:
                raise ValueError(f"{source.name}: OTCE needs features of source images")
            return found
        data = self.target if side == "target" else source.data
        if data is None:
            raise ValueError(
                f"{source.name}: OTCE couples target pixels with labelled source "
                "pixels; give the source its data, or leave 'otce' out of the metrics"
            )
        needed = {space for space in self.plan.features.values()} | {"probs"}
        return extract(
            source.model, data,
            spaces=tuple(space for space in FEATURE_SPACES if space in needed),
            pixels=self.plan.pixels * self.plan.repeats,
            strategy=self.plan.strategy, seed=self.plan.seed, progress=False,
            **self.extraction, **source.options,
        )  # fmt: skip

    def _cell(
        self,
        source: Any,
        metric: str,
        own: FeatureSet | None,
        target: FeatureSet,
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

    def _key(self, metric: str, content: str) -> str:
        return digest(VERSION, metric, dataclasses.asdict(self.plan), content)

    def _score(
        self, source: Any, metric: str, own: FeatureSet | None, target: FeatureSet
    ) -> Cell:
        name, plan = self.target_name([source]), self.plan
        labels, classes = _dense(target.labels)
        counts = None
        images = len(target.image_ids)
        if plan.bootstrap and images > 1:
            counts = image_multiplicities(images, plan.bootstrap, seed=plan.seed)
        facts = {"pixels": len(labels), "images": images}
        if SCORES[metric].two_sided:
            assert own is not None  # extracted above when it is needed
            space = plan.features[metric]
            result = otce(
                own.space(space), own.labels, target.space(space), target.labels,
                num_samples=plan.pixels, repeats=plan.repeats, epsilon=plan.epsilon,
                relative_epsilon=plan.relative_epsilon, key=plan.seed,
                feature_space=space, solver=plan.solver,  # pyright: ignore
                # Saved features may have no class names: their ids are then names.
                num_source_classes=len(own.class_names) or None,
                num_classes=len(target.class_names) or None, ignore=target.ignore,
            )  # fmt: skip
            samples = () if counts is None else otce_replicates(
                result, labels, target.image, counts, seed=plan.seed
            )  # fmt: skip
            return Cell(
                source.name, name, metric, score=float(result.score),
                standard_error=float(result.standard_error), replicates=tuple(samples),
                features=space, details={**facts, **otce_details(result)},
            )  # fmt: skip
        spec = SCORES[metric]
        space = _available(target, plan.features[metric])
        arrays = {spec.needs: _array(target, spec.needs, space)}
        score = spec(arrays, labels, num_classes=classes, ignore=-1)
        samples = () if counts is None else target_only_replicates(
            spec, arrays, labels, target.image, counts, num_classes=classes, ignore=-1
        )  # fmt: skip
        return Cell(
            source.name, name, metric, score=float(score), replicates=tuple(samples),
            features=space if spec.needs == "features" else "probs", details=facts,
        )  # fmt: skip


def _dense(labels: np.ndarray) -> tuple[np.ndarray, int]:
    """Return labels re-indexed over the classes present, and their number."""
    classes, indices = np.unique(labels, return_inverse=True)
    return indices.astype(np.int32), len(classes)


def _content(own: FeatureSet | None, target: FeatureSet) -> str:
    """Return a hash of all that is scored; features need not know their origin."""
    parts: list[Any] = []
    for side in (own, target):
        if side is not None:
            parts += [side.facts, side.image_ids, side.class_names, side.ignore]
            parts += [side.labels, side.predictions, side.image]
            parts += [part for item in sorted(side.features.items()) for part in item]
    return digest(*parts)


def _array(target: FeatureSet, needs: str, space: FeatureSpace) -> np.ndarray:
    """Return what a target-only score reads.

    Raises:
        ValueError: it is not among these features.
    """
    if needs == "probs":
        return target.space("probs")
    if needs == "features":
        return target.space(space)
    if (target.predictions < 0).any():
        raise ValueError(
            "predictions: these features know no source head; save logits, probs or "
            "predictions beside them"
        )
    return target.predictions


def _available(features: FeatureSet, wanted: FeatureSpace) -> FeatureSpace:
    """Return the space asked for, or logits where a saved set has nothing deeper."""
    if wanted == "penultimate" and "penultimate" not in features.features:
        return "logits" if "logits" in features.features else "probs"
    return wanted


def otce_details(result: OtceResult) -> dict[str, Any]:
    """Return the parts of an OTCE result as plain numbers."""
    return {
        "task_difference": float(result.task_difference),
        "domain_difference": float(result.domain_difference),
        "label_joint": np.asarray(result.label_joint).tolist(),
        "marginal_error": float(result.marginal_error),
        "converged": bool(result.converged),
        "iterations": int(np.max(result.draws.iterations)),
        "epsilon": float(result.epsilon),
        "num_samples": list(result.num_samples),
        "repeats": result.repeats,
        "per_draw": np.asarray(result.draws.task_difference).tolist(),
    }


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

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

from trfjax.atoms.compress import ATOMS
from trfjax.data.dataset import Dataset
from trfjax.errors import ScoreWarning
from trfjax.files import write_json
from trfjax.ranking.cell import Cell, cell_of
from trfjax.ranking.drawn import score_drawn
from trfjax.ranking.plan import Pixels, Plan, check_metrics, pixels_of, spaces_of
from trfjax.ranking.result import Ranking
from trfjax.ranking.sources import SavedSource, Seen, Source, target_name
from trfjax.ranking.whole import score_whole
from trfjax.scores import DEFAULT
from trfjax.scores.spec import ScoreSpec
from trfjax.statistics.resamples import Resamples
from trfjax.store import Made, Store
from trfjax.typing import FeatureSpace

log = logging.getLogger("trfjax")

VERSION = 3  # of how cells are computed; part of their key


def rank(
    sources: Iterable[Source | SavedSource],
    target: Dataset | None = None,
    *,
    metrics: Sequence[str] = DEFAULT,
    pixels: Pixels | None = None,
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

    Every source is run over the target images, and over its own images where a score
    looks at those too; nothing is trained. A score that is a function of sums over
    images keeps every pixel: OTCE couples the atoms that the pixels of each side are
    compressed into. The others get draws, the same target pixels for every source: up
    to `pixels * repeats` are kept of each side, OTCE averages over `repeats` draws of
    `pixels` from each side, and scores of the target alone use every pixel kept.
    Intervals and the probability of being best come from resampling the target images,
    the same for all sources.

    Args:
        sources: candidates with different names.
        target: the few labelled target images; None when all sources are saved.
        metrics: names of scores; the first orders the result.
        pixels: None chooses for every score: all where it has a form in sums, unless
            the solver or the strategy needs draws, else draws of 10,000. `"all"` takes
            all for every score; a number, the pixels drawn from each side for one
            draw, draws for every score.
        atoms: points that all pixels of a side are compressed into at most.
        repeats: K, draws OTCE is averaged over.
        epsilon: entropic regularisation of OTCE.
        relative_epsilon: measure epsilon in mean costs.
        features: feature space of every score that reads features of any space, or by
            score. By default that of the score: probabilities for OTCE, penultimate
            features for H-score and LogME (logits where a saved source has nothing
            else).
        solver: of OTCE: `"fast"`, `"ott"` or `"exact"`.
        strategy: how pixels are drawn: uniform, balanced, boundary or per_image.
        bootstrap: number of resamples of the target images; 0 for none.
        seed: of every random choice.
        batch_size: images a network sees at a time.
        out: folder for one JSON record per finished cell; a second call with the same
            inputs reads them back instead of computing.
        cache: where extracted features are kept; see `extract`.
        strict: raise on the first failing score instead of listing it.
        progress: show a progress bar.

    Returns:
        The ranking. A score that fails for a source is listed with its error; a source
        that cannot be run fails for every score. The others are ranked.

    Raises:
        ValueError: settings or sources that cannot be used, a target with one class.
    """
    sources = list(sources)
    metrics = check_metrics(metrics)
    plan = Plan(
        metrics=metrics,
        pixels=pixels_of(metrics, pixels, solver=solver, strategy=strategy),
        atoms=atoms,
        repeats=repeats,
        epsilon=float(epsilon),
        relative_epsilon=relative_epsilon,
        features=spaces_of(metrics, features),
        solver=solver,
        strategy=strategy,
        bootstrap=bootstrap,
        seed=seed,
    )
    _check(sources, target)
    started = time.perf_counter()
    folder = None if out is None else Path(out)
    run = _Run(plan, folder, strict)
    extraction = {"batch_size": batch_size, "cache": cache}
    for source in _progress(sources, progress):
        run.add(Seen(source, target, plan, extraction))
    ranking = Ranking(
        target=target_name(sources[0], target),
        metrics=metrics,
        cells=tuple(run.cells),
        settings=dataclasses.asdict(plan),
        versions=versions(),
        source_classes=run.source_classes,
        target_classes=run.target_classes if target is None else target.class_names,
        seconds=time.perf_counter() - started,
    )
    if folder is not None:
        _write(ranking, folder)
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
    """The work of one `rank` call, and what has come of it so far."""

    def __init__(self, plan: Plan, out: Path | None, strict: bool) -> None:
        self.plan, self.strict = plan, strict
        self.store = None if out is None else Store(out / "cells")
        self.cells: list[Cell] = []
        self.source_classes: dict[str, tuple[str, ...]] = {}
        self.target_classes: tuple[str, ...] = ()

    def add(self, seen: Seen) -> None:
        """Score one candidate."""
        self.source_classes[seen.candidate.name] = ()
        said: set[str] = set()
        for spec in self.plan.specs:
            # A user's network may raise anything at all: it is listed, others go on.
            try:
                cell = self._cell(spec, seen)
            except Exception as error:
                if self.strict:
                    raise
                cell = _failed(spec, seen, error)
                if cell.error not in said:
                    log.warning("%s: %s", cell.source, cell.error)
                said.add(cell.error)
            self.cells.append(cell)

    def _cell(self, spec: ScoreSpec, seen: Seen) -> Cell:
        """Compute one cell, or read it back when it is already there."""
        target = seen.labelled(spec)
        self.target_classes = target.class_names
        self.source_classes[seen.candidate.name] = target.source_class_names
        if self.store is None:
            return self._compute(spec, seen)
        key = {
            "version": VERSION,
            "metric": spec.name,
            "plan": dataclasses.asdict(self.plan),
            "content": seen.content(spec),
        }
        if seen.target is not None and seen.target.unit != "image":
            key["units"] = seen.target.units.tolist()
        record = self.store.keep(
            key, lambda: Made(value=self._compute(spec, seen).record())
        )
        cell = cell_of(record.value, self.store.path(key))
        return dataclasses.replace(cell, source=seen.candidate.name)

    def _compute(self, spec: ScoreSpec, seen: Seen) -> Cell:
        started = time.perf_counter()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ScoreWarning)
            found = self._score(spec, seen)
        said = (w.message for w in caught if issubclass(w.category, ScoreWarning))
        return Cell(
            **found,
            source=seen.candidate.name,
            target=target_name(seen.candidate, seen.target),
            metric=spec.name,
            smooth=spec.smooth,
            seconds=time.perf_counter() - started,
            warnings=tuple(map(str, said)),
        )

    def _score(self, spec: ScoreSpec, seen: Seen) -> dict[str, Any]:
        """Return the fields of a cell that are the score's own."""
        target = seen.labelled(spec)
        resamples = self._resamples(len(target.image_ids), seen.target)
        whole = self.plan.pixels[spec.name] == "all"
        found = (score_whole if whole else score_drawn)(
            spec, seen, self.plan, resamples
        )
        if spec.floor is not None:
            counts = target.label_counts.sum(axis=0)
            found["details"]["floor"] = spec.floor(counts / counts.sum())
        return found

    def _resamples(self, images: int, target: Dataset | None) -> Resamples | None:
        """Return the resamples of the target, the same for all sources."""
        if not self.plan.bootstrap:
            return None
        units = np.arange(images) if target is None else target.units
        if len(np.unique(units)) < 2:
            unit = "image" if target is None else target.unit
            warnings.warn(
                f"a single target {unit} cannot be resampled, so there is no interval",
                ScoreWarning,
                stacklevel=2,
            )
            return None
        return Resamples.draw(
            images, self.plan.bootstrap, units=units, seed=self.plan.seed
        )


def _failed(spec: ScoreSpec, seen: Seen, error: Exception) -> Cell:
    """Return the cell of a score that could not be computed."""
    return Cell(
        source=seen.candidate.name,
        target=target_name(seen.candidate, seen.target),
        metric=spec.name,
        status="failed",
        smooth=spec.smooth,
        error=f"{type(error).__name__}: {error}",
    )


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

"""The main job: several sources, one target, several scores, best first."""

from __future__ import annotations

import dataclasses
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np

from trfjax.atoms.compress import ATOMS
from trfjax.data.dataset import Dataset
from trfjax.data.given import as_dataset
from trfjax.files import write_json
from trfjax.numbers import as_count, as_real
from trfjax.ranking.forecast import check_history, forecasts
from trfjax.ranking.history import History
from trfjax.ranking.needs import offered
from trfjax.ranking.panel import How, Panel, panel_cells, panel_of
from trfjax.ranking.plan import Pixels, Plan, check_metrics, pixels_of, spaces_of
from trfjax.ranking.result import Ranking
from trfjax.ranking.run import Run, said_once
from trfjax.ranking.sources import (
    SavedSource,
    Seen,
    Source,
    candidates,
    target_name,
)
from trfjax.scores import DEFAULT
from trfjax.typing import FeatureSpace


def rank(
    sources: Iterable[Source | SavedSource] | Mapping[str, Any],
    target: Any = None,
    *,
    metrics: Sequence[str] = DEFAULT,
    pixels: Pixels | None = None,
    atoms: int = ATOMS,
    repeats: int = 10,
    epsilon: float = 0.1,
    relative_epsilon: bool = False,
    features: FeatureSpace | Mapping[str, FeatureSpace] | None = None,
    combine: Panel | How | None = None,
    history: History | None = None,
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
        sources: candidates with different names: `Source` and `SavedSource` values,
            or a mapping from names to networks, `Source` values, features of the
            target, or pairs of features `(source, target)`.
        target: the few labelled target images: a `Dataset`, a pair of arrays
            `(images, labels)`, or anything else that `as_dataset` takes; None when all
            sources are saved. Of `(images, None)`, which nobody has labelled, there
            are the scores that need no labels; the others are left out.
        metrics: names of scores; the first orders the result.
        pixels: None chooses for every score: all where it has a form in sums, unless
            the solver or the strategy needs draws, else draws of 10,000. Where all
            pixels, compressed, leave a score in doubt, draws take their place (OTCE on
            raw logits), and the cell has a warning that says so. `"all"` takes
            all for every score; a number, the pixels drawn from each side for one
            draw, draws for every score.
        atoms: points that all pixels of a side are compressed into at most.
        repeats: K, draws OTCE is averaged over.
        epsilon: entropic regularisation of OTCE.
        relative_epsilon: measure epsilon in mean costs.
        features: feature space of every score that reads features of any space, or by
            score. By default that of the score: probabilities for OTCE, penultimate
            features for H-score and LogME (logits where a saved source has nothing
            else). `"h_score@logits"` among the metrics is a score in another space,
            beside itself in its own.
        combine: a column that orders the result: the mean of the scores, made
            comparable over the sources by `"ranks"`, `"standardised"` or `"range"`; a
            `Panel` says which of them, and with which weights.
        history: what `fit_history` learnt from earlier transfers by some of these
            scores; then the ranking forecasts the transfer of every source too.
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
    sources = candidates(sources)
    target = None if target is None else as_dataset(target, name="target")
    metrics = offered(check_metrics(metrics), *_known_target(sources, target))
    panel = panel_of(combine, metrics)
    if history is not None:
        check_history(history, metrics)
    spaces = spaces_of(metrics, features)
    plan = Plan(
        metrics=metrics,
        pixels=pixels_of(
            metrics, pixels, solver=solver, strategy=strategy, spaces=spaces
        ),
        atoms=atoms,
        repeats=repeats,
        epsilon=as_real("epsilon", epsilon, above=0),
        relative_epsilon=relative_epsilon,
        features=spaces,
        solver=solver,
        strategy=strategy,
        bootstrap=bootstrap,
        seed=seed,
    )
    as_count("batch_size", batch_size)
    _check(sources, target)
    started = time.perf_counter()
    folder = None if out is None else Path(out)
    run = Run(plan, folder, strict=strict, may_draw=pixels is None)
    extraction = {"batch_size": batch_size, "cache": cache, "progress": progress}
    with said_once():
        for source in _progress(sources, progress):
            run.add(Seen(source, target, plan, extraction))
    combined = [] if panel is None else panel_cells(run.cells, panel)
    name = target_name(sources[0], target)
    ranking = Ranking(
        target=name,
        metrics=metrics if panel is None else (panel.name, *metrics),
        cells=(*combined, *run.cells),
        settings={
            **dataclasses.asdict(plan),
            "combine": None if panel is None else dataclasses.asdict(panel),
            "history": None if history is None else history.measured,
        },
        versions=versions(),
        source_classes=run.source_classes,
        target_classes=run.target_classes if target is None else target.class_names,
        seconds=time.perf_counter() - started,
        forecasts=() if history is None else forecasts(history, run.cells, name),
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


def _known_target(
    sources: list[Source | SavedSource], target: Dataset | None
) -> tuple[tuple[str, ...], str]:
    """Return the classes of the target and its name, as far as they are known."""
    if target is not None or not sources or isinstance(sources[0], Source):
        return (() if target is None else target.class_names), "target"
    return sources[0].target.class_names, target_name(sources[0], None)


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
    if target is not None and target.labelled:
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

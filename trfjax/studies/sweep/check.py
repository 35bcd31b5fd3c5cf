"""What is wrong with a sweep, found before any data is opened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from trfjax.models import list_models
from trfjax.ranking.plan import Plan, check_metrics, pixels_of, spaces_of
from trfjax.scores import SCORES
from trfjax.studies.finetuning import METHODS
from trfjax.studies.sweep.spec import Method, SourceEntry, Sweep
from trfjax.studies.sweep.written import SpecError, Where

UNCHANGED = "unchanged"  # the method that learns nothing
# Columns of the table that are not scores.
TAKEN = ("source", "target", "seed", "method", "status", "error", "seconds")


def check(sweep: Sweep) -> None:
    """Refuse a sweep that cannot be run, whatever the data are.

    Raises:
        SpecError: the first value that is wrong, and the remedy.
    """
    if not sweep.sources or not sweep.targets:
        missing = "sources" if not sweep.sources else "targets"
        raise SpecError((missing,), "none given; name at least one")
    _check_once("sources", [source.name for source in sweep.sources], "name")
    _check_once("targets", [target.name for target in sweep.targets], "name")
    _check_once("scores", sweep.scores)
    _check_once("methods", [method.title for method in sweep.ways])
    _check_once("seeds", [str(seed) for seed in sweep.seeds])
    for i, source in enumerate(sweep.sources):
        _check_source(("sources", i), source, sweep)
    for i, method in enumerate(sweep.ways):
        _check_method(("methods", i), method)
    _check_scores(sweep)
    if not sweep.pairs():
        raise SpecError(("targets",), "the only source has the name of the only target")
    if not sweep.seeds or min(sweep.seeds) < 0:
        raise SpecError(("seeds",), f"{list(sweep.seeds)}: name some, none negative")


def plan_of(sweep: Sweep) -> Plan:
    """Return what every ranking of the sweep is asked for.

    Raises:
        ValueError: settings that fit no ranking.
    """
    metrics = check_metrics(sweep.scores)
    spaces = spaces_of(metrics, None)
    chosen = pixels_of(
        metrics, sweep.pixels, solver="fast", strategy="uniform", spaces=spaces
    )
    return Plan(
        metrics=metrics,
        pixels=chosen,
        atoms=sweep.atoms,
        repeats=sweep.repeats,
        epsilon=sweep.epsilon,
        relative_epsilon=False,
        features=spaces,
        solver="fast",
        strategy="uniform",
        bootstrap=sweep.bootstrap,
        seed=sweep.seed,
    )


def _check_once(kind: str, names: Sequence[str], field: str | None = None) -> None:
    for i, name in enumerate(names):
        where: Where = (kind, i) if field is None else (kind, i, field)
        if name in names[:i]:
            raise SpecError(
                where, f"{name!r} is there twice; give every one a name of its own"
            )
        if not name:
            raise SpecError(where, "is empty")


def _check_source(where: Where, source: SourceEntry, sweep: Sweep) -> None:
    if source.network is None and source.data is None:
        raise SpecError(
            where,
            "has neither data to train a network on nor a network; give one of them",
        )
    if source.network is not None and source.train is not None:
        raise SpecError((*where, "train"), "the network is trained; leave this out")
    if source.network is not None and not Path(source.network).exists():
        raise SpecError(
            (*where, "network"), f"{source.network}: no such file or folder"
        )
    training = sweep.training(source)
    place: Where = ("train",) if source.train is None else (*where, "train")
    if training.model not in list_models():
        raise SpecError(
            (*place, "model"),
            f"unknown {training.model!r}; available: {', '.join(list_models())}",
        )
    _check_value(place, lambda: training.recipe)


def _check_method(where: Where, method: Method) -> None:
    known = (*METHODS, UNCHANGED)
    if method.mode not in known and not method.mode.startswith("last-"):
        raise SpecError(
            where, f"unknown mode {method.mode!r}; available: {', '.join(known)}"
        )
    if not 0 <= method.held_out <= 0.5:
        raise SpecError((*where, "held_out"), f"{method.held_out} is not in 0..0.5")
    _check_value(where, lambda: method.recipe)


def _check_scores(sweep: Sweep) -> None:
    for i, name in enumerate(sweep.scores):
        _check_value(("scores", i), lambda name=name: check_metrics([name]))
    names = list(sweep.scores)
    for i, panel in enumerate(sweep.panels):
        _check_value(("panels", i), lambda p=panel: p.panel.of(sweep.scores))
        if panel.name in (*names, *TAKEN) or panel.name in SCORES:
            raise SpecError(("panels", i, "name"), f"{panel.name!r} is taken")
        names.append(panel.name)
    _check_value((), lambda: plan_of(sweep))


def _check_value(where: Where, make: Callable[[], Any]) -> None:
    """Say where a value comes from that a constructor refuses."""
    try:
        make()
    except ValueError as error:
        if isinstance(error, SpecError):
            raise
        raise SpecError(where, str(error)) from error

"""One run of an adaptation: its steps, checkpoints, and the choice of a step."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import jax
from tqdm import tqdm

from trfjax.adaptation.labelled import pseudo_accuracy
from trfjax.adaptation.look import Look, known_part, look
from trfjax.adaptation.method import NETWORK, Bound, Method, compose
from trfjax.adaptation.result import AdaptRun
from trfjax.adaptation.run import follow
from trfjax.data import Dataset
from trfjax.state import SourceModel, TrainedModel
from trfjax.training.checkpoints import belongs_to, read_checkpoint, write_checkpoint
from trfjax.training.evaluate import evaluate
from trfjax.training.recipe import Recipe
from trfjax.training.step import Rule, State, Update

log = logging.getLogger("trfjax")

Validator = Literal["last", "information"]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Progress:
    """The progress of a run: its state, and the network its validator likes best."""

    state: State
    best: Any  # parameters and statistics


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Work:
    """One run to do; see `adapt` for every field."""

    source: TrainedModel
    data: tuple[Dataset, Dataset]  # source and target
    name: str
    method: Method
    recipe: Recipe
    rule: Rule | None
    checkpoint: Path | None
    checkpoint_every: int
    resume: bool
    validator: str
    validate_every: int
    progress: bool
    on_step: Callable[[int, float], Any] | None


def adapt_seed(work: Work, before: Look, test: Dataset | None) -> AdaptRun:
    """Adapt with one seed, and measure.

    Args:
        work: what is to be done.
        before: the predictions of the network as it came.
        test: labelled target images to report on.
    """
    started = time.perf_counter()
    update, progress, curves = _follow(work)
    seconds = time.perf_counter() - started
    card, graphdef = work.source.card, work.source.model.graphdef
    params, stats = progress.best
    model = SourceModel(params, stats, graphdef)
    warnings = look(model, card, work.data[1]).warnings(before)
    for warning in warnings:
        log.warning("%s, seed %s: %s", work.name, work.recipe.seed, warning)
    return AdaptRun(
        seed=work.recipe.seed,
        trained=TrainedModel(model, card),
        chosen_step=_chosen(work, curves),
        curves=curves,
        warnings=warnings,
        seconds=seconds,
        evaluation=None if test is None else evaluate(model, card, test),
        pseudo=None if test is None else _pseudo(work, update, progress.state),
    )


def _pseudo(work: Work, update: Update, state: State) -> dict[str, Any] | None:
    """Return how good the pseudo labels are, where the target has labels to tell."""
    card, target = work.source.card, work.data[1]
    if not set(card.class_names) & set(target.class_names):
        return None
    assert isinstance(update.loss, Bound)  # `compose` made it
    known = known_part(target, card.class_names)
    return pseudo_accuracy(work.method, update.loss.setting, state, card, known)


def _follow(work: Work) -> tuple[Update, Progress, dict[str, list[float]]]:
    """Do all steps that are left, with checkpoints."""
    image = work.data[0][0]["image"].shape
    model, card = work.source.model, work.source.card
    update, state = compose(
        work.method, model, card, image, work.recipe, rule=work.rule
    )
    now = Progress(state, (state.params[NETWORK], state.stats))
    curves: dict[str, list[float]] = {"loss": []}
    belongs = _belongs(work)
    if work.resume and work.checkpoint is not None and work.checkpoint.exists():
        now, metadata = read_checkpoint(
            work.checkpoint, now, belongs=belongs, needs="curves"
        )
        curves = metadata["curves"]
    saved = len(curves["loss"])

    def save() -> None:
        if work.checkpoint is not None:
            kept = {"curves": _until(curves, int(now.state.step))}
            write_checkpoint(work.checkpoint, now, belongs=belongs, curves=kept)

    bar = tqdm(
        total=work.recipe.steps,
        initial=saved,
        desc=f"{work.name} {card.name}, seed {work.recipe.seed}",
        disable=not work.progress,
    )
    steps = follow(now.state, update, work.method, work.source, work.data, work.recipe)
    try:
        with bar:
            for state, seen in steps:
                now = _judged(work, now, state, seen, curves)
                done = len(curves["loss"])
                bar.set_postfix(loss=f"{seen['loss']:.3f}", refresh=False)
                bar.update()
                if done % work.checkpoint_every == 0:
                    save()
                    saved = done
                if work.on_step is not None:
                    work.on_step(done, seen["loss"])
    finally:  # also on Ctrl-C and when the loss is no longer finite
        if len(curves["loss"]) > saved:
            save()
    return update, now, curves


def _judged(
    work: Work,
    now: Progress,
    state: State,
    seen: dict[str, float],
    curves: dict[str, list[float]],
) -> Progress:
    """Record a step, and keep its network where the validator likes it best."""
    for name, value in seen.items():
        curves.setdefault(name, []).append(value)
    network = (state.params[NETWORK], state.stats)
    if work.validator == "last":
        return Progress(state, network)
    done = len(curves["loss"])
    if done % work.validate_every and done < work.recipe.steps:
        return Progress(state, now.best)
    model = SourceModel(*network, work.source.model.graphdef)
    value = look(model, work.source.card, work.data[1]).information
    best = value > max(curves.get("validator", []), default=float("-inf"))
    curves.setdefault("validator", []).append(value)
    curves.setdefault("validator_step", []).append(float(done))
    return Progress(state, network if best else now.best)


def _until(curves: dict[str, list[float]], step: int) -> dict[str, list[float]]:
    """Return the curves up to a step: Ctrl-C may come before its state is kept."""
    looks = sum(at <= step for at in curves.get("validator_step", []))
    return {
        name: values[: looks if name.startswith("validator") else step]
        for name, values in curves.items()
    }


def _chosen(work: Work, curves: dict[str, list[float]]) -> int:
    """Return the step whose network is returned."""
    if work.validator == "last":
        return len(curves["loss"])
    values = curves["validator"]
    return int(curves["validator_step"][values.index(max(values))])


def _belongs(work: Work) -> dict[str, Any]:
    """Return what must be the same for a run to go on."""
    source, target = work.data
    return {
        "method": work.name,
        "settings": repr(work.method),
        "rule": repr(work.rule),
        "target": target.fingerprint,
        "validator": f"{work.validator} every {work.validate_every}",
        **belongs_to(work.recipe, work.source.card, source),
    }

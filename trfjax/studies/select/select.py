"""The best fine-tuned network for a budget: scores first, then a short race."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float

from trfjax.data.dataset import Dataset
from trfjax.lock import locked
from trfjax.numbers import as_count
from trfjax.ranking.rank import rank
from trfjax.ranking.result import Ranking
from trfjax.state import TrainedModel
from trfjax.studies.select.heat import Heat, folds_of
from trfjax.studies.select.race import (
    CORRELATION,
    Beliefs,
    Schedule,
    believed,
    schedule,
    standing,
)
from trfjax.studies.select.selection import Racer, Selection
from trfjax.training.recipe import Recipe
from trfjax.transfer.empirical import MEASURES
from trfjax.transfer.finetune import finetune
from trfjax.transfer.start import FINETUNE

SCORES = ("logme", "h_score", "linear_probe")  # a panel that looks at the target only


def select(
    sources: Mapping[str, TrainedModel],
    shots: Dataset,
    *,
    budget: int,
    scores: Ranking | Mapping[str, float] | None = None,
    measured: str = "accuracy",
    folds: int = 2,
    recipe: Recipe = FINETUNE,
    sure: float = 0.95,
    out: str | Path | None = None,
    seed: int = 0,
) -> Selection:
    """Choose the source that fine-tunes best, and fine-tune it, within a budget.

    Scores are a prior, a normal distribution a source; runs of few steps, judged by
    cross-validation over the shots, are the evidence; both are combined by precision.
    After every stage the better part goes on, from where it stood, until the leader is
    ahead with the asked probability. No other label than those of the shots is seen.

    Args:
        sources: trained networks by name.
        shots: the few labelled target images.
        budget: optimiser steps for the race, all folds, and the final run.
        scores: a ranking (its forecasts, where it has some, else its first column) or
            a score by name; by default a panel of three scores is ranked.
        measured: what the race is about: accuracy, miou or log_likelihood.
        folds: of the shots; every image judges once.
        recipe: of a whole run.
        sure: probability of the leader at which the race ends early.
        out: folder for states and results; a second call goes on from there.
        seed: of the folds.

    Returns:
        The fine-tuned network, the table of the race, what it cost and how sure it is.

    Raises:
        ValueError: settings that cannot be used, or a budget below one run.
    """
    _check(sources, budget, measured, recipe, sure)
    parts, started = folds_of(shots, folds, seed=seed), time.perf_counter()
    known = _known(sources, shots, scores, seed)
    place = None if out is None else Path(out)
    with contextlib.nullcontext() if place is None else locked(place, "out"):
        heats = {n: Heat(n, s, parts, recipe, place) for n, s in sources.items()}
        plan = schedule(
            len(sources), recipe.steps, folds=folds, budget=budget - recipe.steps
        )
        prior = standing(np.array(list(known.values())))
        values, beliefs = _race(heats, prior, plan, measured, sure)
    names, first = list(sources), int(np.argmax(beliefs.mean))
    best, chances = names[first], beliefs.probability_best()
    racers = [
        Racer(
            source=name,
            score=known[name],
            steps=_steps_of(values[i], plan),
            value=_last_of(values[i]),
            believed=float(beliefs.mean[i]),
            probability=float(chances[i]),
        )
        for i, name in enumerate(names)
    ]
    racers.sort(key=lambda r: (r.source != best, -r.believed))
    trained = finetune(sources[best], shots, recipe=recipe).trained
    return Selection(
        best=best,
        trained=trained,
        race=tuple(racers),
        measured=measured,
        steps=folds * sum(racer.steps for racer in racers) + recipe.steps,
        all_steps=(folds * len(sources) + 1) * recipe.steps,
        seconds=time.perf_counter() - started,
        probability=float(chances[first]),
        expected_loss=beliefs.expected_loss() if plan else float("nan"),
    )


def _race(
    heats: Mapping[str, Heat],
    prior: Float[np.ndarray, " s"],
    plan: Schedule | None,
    measured: str,
    sure: float,
) -> tuple[Float[np.ndarray, "s stages"], Beliefs]:
    """Return what every source came to after every stage, and what is believed."""
    beliefs = Beliefs(CORRELATION * prior, np.full(len(prior), 1 - CORRELATION**2))
    values = np.full((len(prior), 0), np.nan)
    if plan is None:  # nothing but the scores
        return values, beliefs
    alive, errors = np.arange(len(prior)), np.zeros(len(prior))
    entries = list(heats.values())
    for stage, step in enumerate(plan.steps):
        best = np.argsort(-beliefs.mean[alive], kind="stable")
        alive = np.sort(alive[best[: plan.sources[stage]]])
        values = np.column_stack([values, np.full(len(prior), np.nan)])
        for i in alive:
            found = entries[i].advance(step, measured)
            values[i, -1] = found.mean()
            errors[i] = found.std(ddof=1) / np.sqrt(len(found))
        done = np.array(plan.steps[: stage + 1], float)
        beliefs = believed(prior, values, errors, done, total=plan.steps[-1])
        if beliefs.probability_best().max() >= sure:
            break
    return values, beliefs


def _steps_of(values: Float[np.ndarray, " stages"], plan: Schedule | None) -> int:
    """Return how many steps a source ran in every fold."""
    stages = int(np.isfinite(values).sum())
    return 0 if plan is None or not stages else plan.steps[stages - 1]


def _last_of(values: Float[np.ndarray, " stages"]) -> float:
    """Return the last value of a source; NaN where it did not run."""
    known = values[np.isfinite(values)]
    return float(known[-1]) if len(known) else float("nan")


def _known(
    sources: Mapping[str, TrainedModel],
    shots: Dataset,
    scores: Ranking | Mapping[str, float] | None,
    seed: int,
) -> dict[str, float]:
    """Return a number a source, larger being better; NaN where there is none."""
    if scores is None:
        scores = rank(
            sources,
            shots,
            metrics=SCORES,
            combine="ranks",
            bootstrap=0,
            seed=seed,
            progress=False,
        )
    if isinstance(scores, Ranking):
        found = {cell.source: cell.score for cell in scores.column()}
        if scores.forecasts:
            found = {f.source: f.mean for f in scores.forecasts}
        return {name: found.get(name, float("nan")) for name in sources}
    missing = [name for name in sources if name not in scores]
    if missing:
        raise ValueError(f"scores: none for {missing[0]!r}; give every source one")
    return {name: float(scores[name]) for name in sources}


def _check(
    sources: Mapping[str, TrainedModel],
    budget: int,
    measured: str,
    recipe: Recipe,
    sure: float,
) -> None:
    if not sources:
        raise ValueError("sources: none given")
    if measured not in MEASURES:
        raise ValueError(
            f"measured: unknown {measured!r}; available: {', '.join(MEASURES)}"
        )
    as_count("budget", budget)
    if budget < recipe.steps:
        raise ValueError(
            f"budget: {budget} steps are less than one run of {recipe.steps}; give "
            "more, or a recipe of fewer steps"
        )
    if not 0 < sure <= 1:
        raise ValueError(f"sure: {sure} is not above 0 and at most 1")

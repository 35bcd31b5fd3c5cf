"""The cell of a score on every pixel, from sums over images."""

from __future__ import annotations

from typing import Any

import numpy as np

from trfjax.ranking.needs import available
from trfjax.ranking.plan import Plan
from trfjax.ranking.sources import Seen
from trfjax.scores.spec import ScoreSpec
from trfjax.statistics.resamples import Resamples


def score_whole(
    spec: ScoreSpec, seen: Seen, plan: Plan, resamples: Resamples | None
) -> dict[str, Any]:
    """Return the fields of a cell: score, intervals and what led to them.

    Args:
        spec: of a score with a form in sums.
        seen: what a candidate sees.
        plan: the settings.
        resamples: of the target images; None for no interval.

    Raises:
        ValueError: something that the score reads and the candidate does not have.
    """
    form, target = spec.of_sums, seen.whole("target")
    assert form is not None  # see `pixels_of`
    images = len(target.image_ids)
    kinds = {table.split("_")[1] for table in form.tables} & {"atoms", "moments"}
    held = [set(getattr(target, kind)) for kind in kinds]
    space = plan.features[spec.name]
    if held:
        space = available(set.intersection(*held), space)
    tables = [_table(table, seen, space) for table in form.tables]
    settings = plan.settings(spec, form.settings, space)
    details: dict[str, Any] = {}
    rows, score = np.ones((1, images)), float("nan")
    if form.score is not None:
        settings["result"] = result = form.score(*tables, **settings)
        score = getattr(result, "score", result)
        details = spec.details(result) if spec.details is not None else {}
        details["doubt"] = form.doubt(result) if form.doubt is not None else ""
        rows = rows[:0]
    if resamples is not None:
        rows = np.concatenate([rows, resamples.rows])
    values = form.replicates(*tables, rows, **settings) if len(rows) else np.zeros(0)
    if form.score is None:
        score, values = values[0], values[1:]
    return {
        "score": float(score),
        "features": space if spec.any_space else spec.space,
        "details": details | {"pixels": target.pixels, "images": images},
        **({} if resamples is None else resamples.split(values)),
    }


def _table(name: str, seen: Seen, space: str) -> Any:
    """Return sums over images by their name.

    Raises:
        ValueError: sums that are not in a saved set.
    """
    side, kind = name.split("_")
    found = seen.whole("source" if side == "source" else "target")
    return found.predictions if kind == "counts" else found.space(space, kind)

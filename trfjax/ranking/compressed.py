"""The cell of a score on every pixel, from atoms and sums over images."""

from __future__ import annotations

from typing import Any

import numpy as np

from trfjax.features.compressed import CompressedSet, compress_images
from trfjax.features.featureset import FeatureSet
from trfjax.ranking.bootstrap import Resamples
from trfjax.ranking.drawn import available, known_predictions, otce_details
from trfjax.ranking.plan import Plan
from trfjax.scores.of_sums import (
    h_score_of_moments,
    leep_of_atoms,
    logme_of_moments,
    nce_of_counts,
)
from trfjax.scores.otce.atoms import otce_atoms, otce_atoms_replicates
from trfjax.scores.registry import SCORES
from trfjax.typing import FEATURE_SPACES, FeatureSpace

OF_MOMENTS = {"h_score": h_score_of_moments, "logme": logme_of_moments}


def score_compressed(
    metric: str,
    own: CompressedSet | None,
    target: CompressedSet,
    plan: Plan,
    resamples: Resamples | None,
) -> dict[str, Any]:
    """Return the fields of a cell: score, intervals and what led to them."""
    images = len(target.image_ids)
    details = {"pixels": target.pixels, "images": images}
    space = plan.features[metric]
    if SCORES[metric].two_sided:
        assert own is not None  # extracted when it is needed
        found = _two_sided(own, target, space, plan, resamples)
        found["details"] |= details
        return found
    rows = np.ones((1, images))
    if resamples is not None:
        rows = np.concatenate([rows, resamples.rows])
    values = _target_only(metric, target, space, rows)
    samples = {} if resamples is None else resamples.split(values[1:])
    used = available(target.moments, space) if metric in OF_MOMENTS else "probs"
    return {
        "score": float(values[0]), "features": used, "details": details, **samples
    }  # fmt: skip


def _two_sided(
    own: CompressedSet,
    target: CompressedSet,
    space: Any,
    plan: Plan,
    resamples: Resamples | None,
) -> dict[str, Any]:
    sides = own.space(space), target.space(space)
    result = otce_atoms(
        *sides, epsilon=plan.epsilon, relative_epsilon=plan.relative_epsilon,
        feature_space=space,
    )  # fmt: skip
    samples: dict[str, Any] = {}
    if resamples is not None:
        values = otce_atoms_replicates(
            *sides, resamples.rows, epsilon=float(result.epsilon)
        )
        samples = resamples.split(values)
    return {
        "score": float(result.score), "features": space,
        "details": otce_details(result), **samples,
    }  # fmt: skip


def _target_only(
    metric: str, target: CompressedSet, space: FeatureSpace, rows: np.ndarray
) -> np.ndarray:
    if metric == "leep":
        return leep_of_atoms(target.space("probs"), rows)
    if metric == "nce":
        return nce_of_counts(target.predictions, rows)
    used = available(target.moments, space)
    return OF_MOMENTS[metric](target.space(used, "moments"), rows)


def needed_spaces(
    plan: Plan, side: str = "target"
) -> tuple[dict[str, int], tuple[str, ...]]:
    """Return the atoms to make of a side by space, and the spaces of its moments."""
    atoms = {plan.features[m]: plan.atoms for m in plan.metrics if SCORES[m].two_sided}
    if side == "source":
        return atoms, ()
    if "leep" in plan.metrics or not atoms:
        atoms["probs"] = plan.atoms
    used = {plan.features[m] for m in plan.metrics if m in OF_MOMENTS}
    return atoms, tuple(space for space in FEATURE_SPACES if space in used)


def compressed(features: FeatureSet | CompressedSet, plan: Plan) -> CompressedSet:
    """Return saved features in the form this kind of score reads."""
    if isinstance(features, CompressedSet):
        return features
    if "nce" in plan.metrics:
        known_predictions(features)
    atoms, moments = needed_spaces(plan)
    moments = tuple(
        {
            available(features.spaces, plan.features[m])
            for m in plan.metrics
            if m in OF_MOMENTS
        }
    )
    wanted = {space for space in (*atoms, *moments) if space in features.spaces}
    columns = {space: features.space(space) for space in wanted}
    parts = [
        np.flatnonzero(features.image == i) for i in range(len(features.image_ids))
    ]
    names = features.class_names or tuple(
        map(str, range(int(features.labels.max()) + 1))
    )
    return compress_images(
        (
            (
                {space: column[part] for space, column in columns.items()},
                features.labels[part], features.predictions[part],
            )
            for part in parts
        ),
        features.image_ids, class_names=names,
        source_class_names=features.source_class_names, ignore=features.ignore,
        atoms={space: count for space, count in atoms.items() if space in wanted},
        moments=tuple(space for space in moments if space in wanted),
        seed=plan.seed, facts=features.facts,
    )  # fmt: skip

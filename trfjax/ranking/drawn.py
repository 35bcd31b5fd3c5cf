"""The cell of a score on drawn pixels."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from trfjax.features.featureset import FeatureSet
from trfjax.ranking.bootstrap import (
    Resamples,
    otce_replicates,
    target_only_replicates,
)
from trfjax.ranking.plan import Plan
from trfjax.scores.otce.otce import otce
from trfjax.scores.otce.result import OtceResult
from trfjax.scores.registry import SCORES
from trfjax.typing import FeatureSpace


def score_drawn(
    metric: str,
    own: FeatureSet | None,
    target: FeatureSet,
    plan: Plan,
    resamples: Resamples | None,
) -> dict[str, Any]:
    """Return the fields of a cell: score, intervals and what led to them."""
    compute = _two_sided if SCORES[metric].two_sided else _target_only
    found = compute(metric, own, target, plan, resamples)
    images = len(target.image_ids)
    found["details"] |= {"pixels": len(target.labels), "images": images}
    return found


def _two_sided(
    metric: str,
    own: FeatureSet | None,
    target: FeatureSet,
    plan: Plan,
    resamples: Resamples | None,
) -> dict[str, Any]:
    assert own is not None and plan.pixels != "all"  # see `rank`
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
    samples: dict[str, Any] = {}
    if resamples is not None:
        values = otce_replicates(
            result, _dense(target.labels)[0], target.image, resamples, seed=plan.seed
        )
        samples = resamples.split(values)
    return {
        "score": float(result.score), "standard_error": float(result.standard_error),
        "features": space, "details": otce_details(result), **samples,
    }  # fmt: skip


def _target_only(
    metric: str,
    own: FeatureSet | None,
    target: FeatureSet,
    plan: Plan,
    resamples: Resamples | None,
) -> dict[str, Any]:
    del own
    spec, space = SCORES[metric], available(target.features, plan.features[metric])
    labels, classes = _dense(target.labels)
    arrays = {spec.needs: _array(target, spec.needs, space)}
    score = spec(arrays, labels, num_classes=classes, ignore=-1)
    samples: dict[str, Any] = {}
    if resamples is not None:
        values = target_only_replicates(
            spec, arrays, labels, target.image, resamples.rows,
            num_classes=classes, ignore=-1,
        )  # fmt: skip
        samples = resamples.split(values)
    return {
        "score": float(score), "details": {}, **samples,
        "features": space if spec.needs == "features" else "probs",
    }  # fmt: skip


def _dense(labels: np.ndarray) -> tuple[np.ndarray, int]:
    """Return labels re-indexed over the classes present, and their number."""
    classes, indices = np.unique(labels, return_inverse=True)
    return indices.astype(np.int32), len(classes)


def _array(target: FeatureSet, needs: str, space: FeatureSpace) -> np.ndarray:
    """Return what a target-only score reads.

    Raises:
        ValueError: it is not among these features.
    """
    if needs == "probs":
        return target.space("probs")
    if needs == "features":
        return target.space(space)
    return known_predictions(target)


def known_predictions(target: FeatureSet) -> np.ndarray:
    """Return the predicted source classes.

    Raises:
        ValueError: there was no head to make them.
    """
    if (target.predictions < 0).any():
        raise ValueError(
            "predictions: these features know no source head; save logits, probs or "
            "predictions beside them"
        )
    return target.predictions


def available(held: Collection[str], wanted: FeatureSpace) -> FeatureSpace:
    """Return the space asked for, or logits where a saved set has nothing deeper."""
    if wanted == "penultimate" and "penultimate" not in held:
        return "logits" if "logits" in held else "probs"
    return wanted


def otce_details(result: OtceResult) -> dict[str, Any]:
    """Return the parts of an OTCE result as plain numbers."""
    found = result.quantisation
    atoms = {} if found is None else {
        "atoms": list(found.atoms), "quantisation_effect": float(found.effect),
        "scatter": float(found.scatter),
    }  # fmt: skip
    return {
        **atoms,
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

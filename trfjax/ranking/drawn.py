"""The cell of a score on drawn pixels."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from trfjax.errors import ScoreWarning
from trfjax.features.featureset import FeatureSet
from trfjax.ranking.bootstrap import weighted_replicates
from trfjax.ranking.needs import available, known_predictions
from trfjax.ranking.plan import Plan
from trfjax.ranking.sources import Seen, Source
from trfjax.scores.spec import ScoreSpec
from trfjax.statistics.resamples import Resamples
from trfjax.typing import FeatureSpace

NOTHING = -1  # the ignore value of labels of which none is ignored


def score_drawn(
    spec: ScoreSpec, seen: Seen, plan: Plan, resamples: Resamples | None
) -> dict[str, Any]:
    """Return the fields of a cell: score, intervals and what led to them.

    Args:
        spec: of the score.
        seen: what a candidate sees.
        plan: the settings.
        resamples: of the target images; None for no interval.

    Raises:
        ValueError: something that the score reads and the candidate does not have.
    """
    target = seen.drawn("target")
    space = available(target.spaces, plan.features[spec.name])
    arrays = {name: _input(name, seen, space) for name in spec.inputs}
    if space == "levels":
        arrays |= _standardised(arrays)
    labels, classes = class_indices(target)
    counts = _counts(spec, seen, arrays) | {"num_classes": classes}
    settings = plan.settings(spec, spec.settings, space)
    result = spec.run(arrays, labels, **counts, ignore=NOTHING, **settings)
    found: dict[str, Any] = {
        "score": float(getattr(result, "score", result)),
        "standard_error": float(getattr(result, "standard_error", float("nan"))),
        "features": space if spec.any_space else spec.space,
        "details": spec.details(result) if spec.details is not None else {},
    }
    if resamples is not None and spec.resampled is not None:
        values = spec.resampled(
            result,
            labels=labels,
            images=target.image,
            resamples=resamples,
            seed=plan.seed,
        )
        found |= resamples.split(values)
    elif resamples is not None and spec.weighted:
        values = weighted_replicates(
            spec,
            arrays,
            labels,
            target.image,
            resamples.rows,
            **counts,
            **settings,
            ignore=NOTHING,
        )
        found |= resamples.split(values)
    elif resamples is not None:
        warnings.warn(
            f"{spec.name}: takes no weights, so it has no interval on drawn pixels",
            ScoreWarning,
            stacklevel=2,
        )
    found["details"] |= {"pixels": len(target), "images": len(target.image_ids)}
    return found


def _standardised(arrays: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return the features by the mean and deviation of the source's, or their own.

    Divided by the root of their number, so that a squared distance is a mean over
    columns: levels are of any scale, and there are more or fewer of them.
    """
    sides = {k: v for k, v in arrays.items() if k.endswith("_features")}
    first = sides.get("source_features", next(iter(sides.values()), None))
    if first is None:
        return {}
    mean, spread = first.mean(axis=0), first.std(axis=0)
    scale = np.where(spread > 0, spread, 1) * np.sqrt(first.shape[1])
    return {k: ((v - mean) / scale).astype(np.float32) for k, v in sides.items()}


def class_indices(features: FeatureSet) -> tuple[np.ndarray, int]:
    """Return labels as class indices, and the number of classes.

    Saved features may have no class names: their ids are then names, re-indexed over
    the classes present.
    """
    if features.class_names:
        return features.labels, len(features.class_names)
    classes, indices = np.unique(features.labels, return_inverse=True)
    return indices.astype(np.int32), len(classes)


def _input(name: str, seen: Seen, space: FeatureSpace) -> Any:
    """Return what a score reads under a name.

    Raises:
        ValueError: it is not among what this candidate shows.
    """
    if name in ("network", "target_data"):
        if not isinstance(seen.candidate, Source):
            raise ValueError(f"{name}: saved features know no network; give the model")
        return seen.candidate.model if name == "network" else seen.target
    side, noun = name.split("_", 1)
    features = seen.drawn("source" if side == "source" else "target")
    if noun == "labels":
        return class_indices(features)[0]
    if noun == "images":
        return features.image
    if noun == "predictions":
        return known_predictions(features)
    return features.space(space if noun == "features" else noun)


def _counts(spec: ScoreSpec, seen: Seen, arrays: dict[str, Any]) -> dict[str, int]:
    """Return the number of source classes, for a score that reads their ids."""
    sizes = [int(arrays[name].max()) + 1 for name in spec.source_ids]
    if "source_labels" in spec.source_ids:
        sizes.append(class_indices(seen.drawn("source"))[1])
    return {"num_source_classes": max(sizes)} if sizes else {}

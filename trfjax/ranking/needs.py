"""What the scores of a plan need of either side, and where it is found."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from trfjax.data.labels import NO_LABELS
from trfjax.errors import perhaps
from trfjax.features.compressed import CompressedSet, Compression, compress_images
from trfjax.features.featureset import FeatureSet
from trfjax.ranking.plan import Plan
from trfjax.scores import SCORES, score_named
from trfjax.typing import FEATURE_SPACES, FeatureSpace

log = logging.getLogger("trfjax")

OPTIONS = ("layer", "preprocessing", "class_names", "name", "digest")


def offered(
    metrics: tuple[str, ...], classes: tuple[str, ...], name: str
) -> tuple[str, ...]:
    """Return the scores that can be had: without labels, those that need none.

    Those that need labels are named in the log. Where all do, all scores that need
    none take their place.

    Args:
        metrics: those asked for.
        classes: of the target.
        name: of the target.
    """
    if classes != NO_LABELS.names:
        return metrics
    left_out = [name for name in metrics if score_named(name).labels != "none"]
    kept = tuple(name for name in metrics if name not in left_out)
    kept = kept or tuple(name for name, spec in SCORES.items() if spec.labels == "none")
    if left_out:
        log.warning(
            "%s has no labels: left out %s, which need them; ranked by %s",
            *(name, ", ".join(left_out), ", ".join(kept)),
        )
    return kept


def needed_spaces(plan: Plan) -> tuple[FeatureSpace, ...]:
    """Return the feature spaces that drawn pixels are kept in."""
    found: set[str] = {"probs"}
    for spec in plan.drawn:
        for name in spec.inputs:
            noun = name.split("_", 1)[-1]
            found.add(plan.features[spec.name] if noun == "features" else noun)
    return tuple(space for space in FEATURE_SPACES if space in found)


def needed_tables(plan: Plan, side: str) -> Compression:
    """Return what all pixels of a side are compressed into."""
    atoms: dict[FeatureSpace, int] = {}
    moments: set[FeatureSpace] = set()
    for spec in plan.whole:
        assert spec.of_sums is not None  # see `pixels_of`
        for table in spec.of_sums.tables:
            if table == f"{side}_atoms":
                atoms[plan.features[spec.name]] = plan.atoms
            elif table == f"{side}_moments":
                moments.add(plan.features[spec.name])
    if not atoms and not moments:  # pixels are counted on the way
        moments.add("probs")
    return Compression(atoms=atoms, moments=tuple(sorted(moments)), seed=plan.seed)


def available(held: Collection[str], wanted: FeatureSpace) -> FeatureSpace:
    """Return the space asked for, or logits where a saved set has nothing deeper."""
    if wanted == "penultimate" and "penultimate" not in held:
        return "logits" if "logits" in held else "probs"
    return wanted


def known_predictions(features: FeatureSet) -> np.ndarray:
    """Return the predicted source classes.

    Raises:
        ValueError: there was no head to make them.
    """
    if (features.predictions < 0).any():
        raise ValueError(
            "predictions: these features know no source head; save logits, probs or "
            "predictions beside them"
        )
    return features.predictions


def compressed(
    features: FeatureSet | CompressedSet, plan: Plan, side: str
) -> CompressedSet:
    """Return saved features of a side with all their pixels compressed.

    Args:
        features: as they were saved; a compressed set is returned as it is.
        plan: whose scores read them.
        side: `"source"` or `"target"`.

    Raises:
        ValueError: predictions that are needed and unknown.
    """
    if isinstance(features, CompressedSet):
        return features
    if any(f"{side}_counts" in s.of_sums.tables for s in plan.whole if s.of_sums):
        known_predictions(features)
    wanted, held = needed_tables(plan, side), features.spaces
    atoms: dict[FeatureSpace, int]
    moments: tuple[FeatureSpace, ...]
    atoms = {available(held, s): count for s, count in wanted.atoms.items()}
    moments = tuple(dict.fromkeys(available(held, s) for s in wanted.moments))
    columns = {s: features.space(s) for s in {*atoms, *moments} if s in held}
    into = Compression(
        atoms={s: count for s, count in atoms.items() if s in columns},
        moments=tuple(s for s in moments if s in columns),
        seed=plan.seed,
    )
    parts = [
        np.flatnonzero(features.image == i) for i in range(len(features.image_ids))
    ]
    count = int(features.labels.max()) + 1
    return compress_images(
        (
            (
                {space: column[part] for space, column in columns.items()},
                features.labels[part],
                features.predictions[part],
            )
            for part in parts
        ),
        features.image_ids,
        class_names=features.class_names or tuple(map(str, range(count))),
        source_class_names=features.source_class_names,
        ignore=features.ignore,
        into=into,
        facts=features.facts,
    )


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Refuse options that `as_predictor` does not take.

    Args:
        name: of the source they belong to.
        options: by name.

    Raises:
        ValueError: the first such option, and what was perhaps meant.
    """
    for key in options:
        if key not in OPTIONS:
            raise ValueError(
                f"options: {key!r} of source {name!r} is none of "
                f"{', '.join(OPTIONS)}{perhaps(key, OPTIONS)}"
            )

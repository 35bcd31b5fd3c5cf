"""Sources whose scores are on different scales, so that no score can compare them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from trfjax.features.compressed import CompressedSet
from trfjax.features.featureset import FeatureSet
from trfjax.ranking.cell import Cell
from trfjax.ranking.sources import Seen, Side, Source
from trfjax.scores.spec import ScoreSpec

REMEDY = {
    "width": "their features are of different width ({}), and its evidence falls with "
    "every feature; compare within one width",
    "architecture": "their architectures differ ({}), and so does how sure they are of "
    'themselves; compare on features="penultimate", or within one architecture',
    "size": "their images were seen at different sizes ({}); extract all at one size",
}


def traits_of(spec: ScoreSpec, seen: Seen, space: str, whole: bool) -> dict[str, Any]:
    """Return the traits of a source that the scale of a score depends on.

    Args:
        spec: of the score.
        seen: what the candidate sees.
        space: the feature space the score was computed on.
        whole: whether all pixels were taken.
    """
    target = seen.whole("target") if whole else seen.drawn("target")
    found: dict[str, Any] = {}
    if "width" in spec.sensitive:
        found["width"] = _width(target, space)
    if "architecture" in spec.sensitive and space == "probs":
        card = getattr(getattr(seen.candidate, "model", None), "card", None)
        found["architecture"] = getattr(card, "architecture", None)
    if "size" in spec.sensitive:
        source = seen.whole("source") if whole else seen.drawn("source")
        found["size"] = _size(seen, "target", target)
        found["source_size"] = _size(seen, "source", source)
    return {name: value for name, value in found.items() if value is not None}


def unlike(cells: Sequence[Cell]) -> tuple[str, ...]:
    """Return a warning for every trait that sets the sources of one score apart.

    Args:
        cells: of one score.
    """
    scored = [cell for cell in cells if np.isfinite(cell.score)]
    found = []
    for trait, remedy in REMEDY.items():
        values = [
            str(cell.details["traits"][name])
            for cell in scored
            for name in (trait, f"source_{trait}")
            if name in cell.details.get("traits", {})
        ]
        if len(set(values)) > 1:
            named = ", ".join(sorted(set(values)))
            found.append(
                f"{scored[0].metric} does not compare these sources: "
                + remedy.format(named)
            )
    return tuple(found)


def _width(features: FeatureSet | CompressedSet, space: str) -> int | None:
    if isinstance(features, FeatureSet):
        return int(features.space(space).shape[-1])
    moments = features.moments.get(space)
    return None if moments is None else int(moments.sums.shape[-1])


def _size(seen: Seen, side: Side, features: Any) -> str | None:
    """Return height and width that a network saw, where that is known."""
    size = features.facts.get("preprocessing", {}).get("size")
    if size is None and isinstance(seen.candidate, Source):
        data = seen.target if side == "target" else seen.candidate.data
        size = None if data is None else np.shape(data[0]["image"])[:2]
    return None if size is None else " x ".join(map(str, np.ravel(size).tolist()))

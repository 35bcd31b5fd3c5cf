"""A score against what a useless source reaches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Num

from trfjax.scores.spec import ScoreSpec
from trfjax.statistics.resamples import Resamples


def judged(
    spec: ScoreSpec,
    found: Mapping[str, Any],
    label_counts: Num[np.ndarray, "i c"],
    resamples: Resamples | None,
) -> dict[str, Any]:
    """Return the fields of a cell that set its score against the floor.

    Args:
        spec: of the score.
        found: `score` and, where images were resampled, `left_out`.
        label_counts: pixels of every class in every target image.
        resamples: of the target images.
    """
    counts = np.asarray(label_counts, np.float64)
    share = _share(counts.sum(axis=0))
    judged: dict[str, Any] = {}
    if spec.floor is not None:
        judged["floor"] = float(spec.floor(share))
    if spec.limits is not None:
        judged["limits"] = tuple(map(_finite, spec.limits(share)))
    if spec.explained is not None:
        judged["explained_of"] = spec.explained.of
        judged["explained"] = float(spec.explained.share(found["score"], share))
        judged["explained_left_out"] = ()
        if resamples is not None and found.get("left_out"):
            rows = resamples.rows[resamples.replicates :]
            judged["explained_left_out"] = tuple(
                float(spec.explained.share(score, _share(row @ counts)))
                for score, row in zip(found["left_out"], rows, strict=True)
            )
    return judged


def _share(counts: np.ndarray) -> np.ndarray:
    return counts / max(counts.sum(), 1)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None

"""Scores: one published score a file, and here the only list of them.

A file holds the function, its form as sums over images where it has one, and `SPEC`,
which says everything else there is to know of it: see `trfjax.scores.spec`. A score is
loaded when it is first asked for. `SCORES["mine"] = SPEC` adds one of your own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trfjax.lazy import Lazy

if TYPE_CHECKING:
    from trfjax.scores.spec import ScoreSpec

SCORES: Lazy[ScoreSpec] = Lazy(
    "score",
    {
        "otce": "trfjax.scores.otce.otce",
        "jc_otce": "trfjax.scores.otce.joint_cost",
        "leep": "trfjax.scores.leep",
        "nce": "trfjax.scores.nce",
        "h_score": "trfjax.scores.hscore",
        "shrunk_h_score": "trfjax.scores.shrunk",
        "logme": "trfjax.scores.logme",
    },
    "SPEC",
)

DEFAULT = ("otce", "leep", "nce", "h_score", "logme")  # what is ranked unless asked

__all__ = ["DEFAULT", "SCORES"]

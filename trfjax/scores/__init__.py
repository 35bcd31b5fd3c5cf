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
        "linear_probe": "trfjax.scores.linear_probe",
        "nleep": "trfjax.scores.nleep",
        "transrate": "trfjax.scores.transrate",
        "gbc": "trfjax.scores.gbc",
        "sfda": "trfjax.scores.sfda",
        "parc": "trfjax.scores.parc",
        "lfc": "trfjax.scores.lfc",
        "knn": "trfjax.scores.knn",
        "ccfv": "trfjax.scores.ccfv",
        "max_h_score": "trfjax.scores.max_h_score",
        "energy": "trfjax.scores.energy",
        "nuclear_norm": "trfjax.scores.nuclear_norm",
        "neighbourhood_density": "trfjax.scores.neighbourhood_density",
    },
    "SPEC",
)


def score_named(name: str) -> ScoreSpec:
    """Return a score by its name, or in another feature space by `"name@space"`.

    Raises:
        ValueError: no such score or space, or a score that has its own.
    """
    score, _, space = name.partition("@")
    spec = SCORES.named(score)
    return spec.in_space(space) if space else spec


DEFAULT = ("otce", "leep", "nce", "h_score", "logme")  # what is ranked unless asked

__all__ = ["DEFAULT", "SCORES", "score_named"]

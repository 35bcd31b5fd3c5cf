"""Measured transfer between structures as text: matrix, findings, first choices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from trfjax.data.medical.tasks import Task
from trfjax.reporting.words import title
from trfjax.statistics.correlation import spearman
from trfjax.studies.findings import Finding, Measured, footrules

# Spearman's footrule at top 1 to 4 as published (FeTS institutions 20 and 22), without
# and with the filter F; see docs/medical.md.
PUBLISHED: dict[tuple[str, str], tuple[tuple[int, ...], tuple[int, ...]]] = {
    ("ET-22-T2", "h_score"): ((5, 10, 22, 27), (4, 5, 6, 7)),
    ("ET-22-T2", "otce"): ((2, 2, 4, 12), (2, 2, 4, 7)),
    ("ET-20-T1", "h_score"): ((14, 24, 30, 40), (0, 9, 9, 13)),
    ("ET-20-T1", "otce"): ((2, 14, 17, 23), (2, 11, 13, 17)),
}


def rows(header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [list(header), ["---"] * len(header), *map(list, body)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def matrix(measured: Sequence[Measured]) -> str:
    """Return the mean Dice of every source (rows) on every target (columns)."""
    sources = measured[0].sources
    body = [
        [source, *(f"{m.mean_dice[i]:.2f}" for m in measured)]
        for i, source in enumerate(sources)
    ]
    body.append(["from scratch", *(f"{np.nanmean(m.scratch):.2f}" for m in measured)])
    return rows(["source", *(m.target for m in measured)], body)


def statements(findings: Sequence[Finding]) -> str:
    """Return what was found, with intervals over patients."""
    body = [
        [
            f.statement,
            str(f.gain),
            f"{f.agreeing} of {f.targets}",
            f.verdict,
        ]
        for f in findings
    ]
    return rows(["statement", "gain in Dice", "targets that agree", "verdict"], body)


def correlations(measured: Sequence[Measured]) -> str:
    """Return the rank correlation of every score with the Dice, by target."""
    metrics = list(measured[0].scores)
    body = [
        [m.target, *(_correlation(m, metric) for metric in metrics)] for m in measured
    ]
    return rows(["target", *map(title, metrics)], body)


def _correlation(measured: Measured, metric: str) -> str:
    scores = measured.scores[metric]
    if np.ptp(scores) == 0 or np.ptp(measured.mean_dice) == 0:
        return "undefined"
    return f"{spearman(scores, measured.mean_dice):.2f}"


def first_choices(measured: Sequence[Measured], tasks: Mapping[str, Task]) -> str:
    """Return the footrule at top 1 to 4, without and with F, and what is published."""
    body = []
    for m in measured:
        for metric in m.scores:
            plain, filtered = (
                ", ".join(f"{v:g}" for v in footrules(m, metric, tasks, filtered=f))
                for f in (False, True)
            )
            body.append([m.target, title(metric), plain, filtered])
    for (target, metric), (plain, filtered) in PUBLISHED.items():
        named = f"{target} (published)"
        body.append(
            [named, title(metric), *(", ".join(map(str, v)) for v in (plain, filtered))]
        )
    return rows(["target", "score", "top 1 to 4", "with F"], body)

"""A sweep in words: its progress, and what came of it."""

from __future__ import annotations

from collections import Counter

from trfjax.studies.sweep.pace import Progress, duration
from trfjax.studies.sweep.quality import Judged, Quality
from trfjax.studies.sweep.result import SweepResult

SHOWN = 5  # errors that are told


def progress_line(event: Progress) -> str:
    """Return what is finished and how long the rest takes."""
    left = duration(event.seconds_left)
    if event.unmeasured and event.done < event.total:
        left = f"more than {left}"
    line = f"[{event.done}/{event.total}] {event.cell}, {left} left"
    return f"{line}\n  failed: {event.error}" if event.error else line


def summary(result: SweepResult) -> str:
    """Return how many cells there are, and which failed."""
    failed = result.failed
    lines = [f"{len(result.records)} cells finished, {len(failed)} of them failed"]
    said = Counter(failed.values())
    for error, count in said.most_common(SHOWN):
        first = next(cell for cell, text in failed.items() if text == error)
        more = f" and {count - 1} more" if count > 1 else ""
        lines.append(f"  {first}{more}: {error}")
    if len(said) > SHOWN:
        lines.append(f"  and {len(said) - SHOWN} other errors; see results.csv")
    return "\n".join(lines)


def quality_text(judged: Judged) -> str:
    """Return how well everything that is known before predicted what was measured."""
    points = 1 if judged.measured == "log_likelihood" else 100
    unit = "nats" if points == 1 else "points"
    head = f"{'':20} Spearman [90% over targets]  skill  {unit} lost by 1st, best of 3"
    lines = [
        f"Prediction of {judged.measured} after {judged.method} on {judged.targets} "
        f"targets; noise leaves at most {judged.ceiling:.2f}:",
        head,
        *(_quality_line(row, points) for row in judged.rows),
        f"{'random choice':20}     0{'':26} {points * judged.chance:9.2f}",
    ]
    if judged.scratch is not None:
        lines.append(f"{'random weights':20} {'':31} {points * judged.scratch:9.2f}")
    return "\n".join(lines)


def _quality_line(row: Quality, points: int) -> str:
    low, high = row.over_targets.ends
    lost = [points * row.measures[name] for name in ("regret@1", "regret@3")]
    return (
        f"{row.predictor[:20]:20} {row.spearman:5.2f} [{low:5.2f}, {high:5.2f}]"
        f"{row.skill:14.2f} {lost[0]:9.2f} {lost[1]:9.2f}"
    )

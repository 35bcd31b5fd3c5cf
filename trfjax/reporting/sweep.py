"""A sweep in words: its progress, and what came of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

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
    nats = judged.measured == "log_likelihood"
    points, unit = (1, "nats lost") if nats else (100, "points lost")
    targets = f"{judged.targets} target{'s' * (judged.targets != 1)}"
    lines = [
        f"Prediction of {judged.measured} after {judged.method} on {targets}; noise "
        f"leaves at most {_number(judged.ceiling)}:",
        _line("", ["Spearman", "90% over targets", "skill", unit, "best of 3"]),
        *(_quality_line(row, points) for row in judged.rows),
        _line("random choice", ["0", "", "", _number(points * judged.chance), ""]),
    ]
    if judged.scratch is not None:
        lost = _number(points * judged.scratch)
        lines.append(_line("random weights", ["", "", "", lost, ""]))
    return "\n".join(lines)


def _quality_line(row: Quality, points: int) -> str:
    low, high = row.over_targets.ends
    lost = [points * row.measures[name] for name in ("regret@1", "regret@3")]
    ends = f"{_number(low)} .. {_number(high)}"
    numbers = [_number(row.skill), *map(_number, lost)]
    return _line(row.predictor, [_number(row.spearman), ends, *numbers])


def _line(name: str, parts: Sequence[str]) -> str:
    widths = (9, 17, 7, 12, 10)
    cells = (part.rjust(width) for part, width in zip(parts, widths, strict=True))
    return f"{name[:20]:20} {''.join(cells)}".rstrip()


def _number(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "-"

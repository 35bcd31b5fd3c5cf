"""A sweep in words: its progress, and what came of it."""

from __future__ import annotations

from collections import Counter

from trfjax.studies.sweep.pace import Progress, duration
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

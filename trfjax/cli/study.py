"""A study on the command line: what it found, in words, and its report."""

from __future__ import annotations

import resource
import time
from pathlib import Path

from trfjax.reporting.report import write_results
from trfjax.reporting.studies import agreement_text, progress_line
from trfjax.studies.agreement import agreement
from trfjax.studies.study import Study, run_study


def report_study(study: Study, folder: Path) -> Path:
    """Run a study, print what it found and write its report; return the path."""
    started = time.perf_counter()
    _say(f"{len(study.sources)} source networks:")
    outcome = run_study(study, folder, lambda event: _say(progress_line(event)))
    found = agreement(outcome.ranking, outcome.measured)
    _say(
        f"\nDoes it predict transfer to {study.target.name}? Measured with "
        f"{len(study.seeds)} draws of {study.shots} shots:\n{agreement_text(found)}\n"
    )
    _say("  ".join(f"{k} {v:.0f} s" for k, v in outcome.timings.items()))
    report = write_results(
        outcome.ranking, folder, measured=outcome.measured, timings=outcome.timings
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    _say(
        f"done in {time.perf_counter() - started:.0f} s, peak memory {peak:.1f} GB; "
        f"report: {report}"
    )
    return report


def _say(text: str) -> None:
    print(text, flush=True)

"""A study on the command line: what it found, in words, and its report."""

from __future__ import annotations

import dataclasses
import resource
import time
from pathlib import Path

import numpy as np

from trfjax.files import write_json
from trfjax.reporting.report import write_results
from trfjax.statistics.correlation import pearson, spearman
from trfjax.statistics.reliability import reliability
from trfjax.studies.study import Outcome, Study, run_study
from trfjax.transfer.empirical import MEASURES


def judgement(outcome: Outcome) -> str:
    """Say how well the scores predict what was measured, without dressing it up."""
    names = list(outcome.measured)
    lines = []
    for measure in MEASURES:
        values = np.array([outcome.measured[name][measure] for name in names])
        agree = reliability(values) if values.shape[1] > 1 else float("nan")
        lines.append(f"{measure}: seeds agree {agree:.2f} (mean Spearman of repeats)")
        for metric in outcome.ranking.metrics:
            cells = {c.source: c.score for c in outcome.ranking.column(metric)}
            scores = np.array([cells[name] for name in names])
            rho = float(spearman(scores, values.mean(axis=1)))
            r = float(pearson(scores, values.mean(axis=1)))
            lines.append(f"  {metric:8} Pearson {r:+.2f}  Spearman {rho:+.2f}")
    lines.append(
        f"With {len(names)} sources a Spearman correlation has a standard error of "
        f"about {1 / np.sqrt(max(len(names) - 1, 1)):.2f}: read them as such."
    )
    return "\n".join(lines)


def report_study(study: Study, folder: Path) -> Path:
    """Run a study, print what it found and write its report; return the path."""
    started = time.perf_counter()
    _say(f"{len(study.sources)} source networks:")
    outcome = run_study(study, folder, _say)
    _say(
        f"\nDoes it predict transfer to {study.target.name}? Measured with "
        f"{len(study.seeds)} draws of {study.shots} shots:\n{judgement(outcome)}\n"
    )
    _say("  ".join(f"{k} {v:.0f} s" for k, v in outcome.timings.items()))
    # Kept so that the report can be written again.
    write_json(folder / "outcome.json", dataclasses.asdict(
        dataclasses.replace(outcome, ranking=None)  # pyright: ignore
    ))  # fmt: skip
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

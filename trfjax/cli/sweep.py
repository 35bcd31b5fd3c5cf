"""`trfjax sweep`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from trfjax.cli import FAILED_CELLS
from trfjax.files import strict
from trfjax.reporting.sweep import progress_line, quality_text, summary
from trfjax.studies.outputs import claimed
from trfjax.studies.sweep.pace import Progress
from trfjax.studies.sweep.quality import judge_sweep
from trfjax.studies.sweep.result import SweepResult
from trfjax.studies.sweep.sweep import preview_sweep, sweep


def run(config: Any) -> int:
    """Do what is left of a sweep; write tables."""
    if not Path(config.file).is_file():
        raise FileNotFoundError(f"{config.file}: no such file; see docs/sweep.md")
    if config.dry_run:
        retry = config.retry_failed
        print(preview_sweep(config.file, config.out, retry_failed=retry))
        return 0
    with claimed(config.out, "sweep") as folder:
        result = sweep(
            config.file,
            folder,
            engine=config.engine,
            retry_failed=config.retry_failed,
            progress=_say,
        )
    show(result, config.format)
    print(f"tables: {folder}", file=sys.stderr)
    return FAILED_CELLS if result.failed else 0


def show(result: SweepResult, form: str) -> None:
    """Print what a sweep came to."""
    if form == "csv":
        print(result.to_csv(), end="")
    elif form == "json":
        print(json.dumps(strict(result.rows())))
    else:
        print(summary(result))
        for measured in ("accuracy", "miou"):
            if (found := judge_sweep(result, measured)).rows:
                print(f"\n{quality_text(found)}")


def _say(event: Progress) -> None:
    print(progress_line(event), file=sys.stderr, flush=True)

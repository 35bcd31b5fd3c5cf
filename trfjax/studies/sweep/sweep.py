"""Sources against targets: every score and every transfer once, resumable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from trfjax.files import write_text
from trfjax.lock import locked
from trfjax.studies.sweep.check import check
from trfjax.studies.sweep.engine import engine_named
from trfjax.studies.sweep.opened import Opened, open_sweep
from trfjax.studies.sweep.pace import Clock, Progress
from trfjax.studies.sweep.preview import Preview, preview, training_seconds
from trfjax.studies.sweep.result import SweepResult
from trfjax.studies.sweep.spec import Sweep
from trfjax.studies.sweep.work import finished
from trfjax.studies.sweep.written import SpecError, located, sweep_of

RESOLVED = "sweep.yaml"  # what was asked for, in the folder of the results

Given = str | Path | Mapping[str, Any] | Sweep


def sweep(
    given: Given,
    out: str | Path,
    *,
    engine: str = "serial",
    retry_failed: bool = False,
    progress: Callable[[Progress], Any] = lambda _: None,
) -> SweepResult:
    """Score every source for every target, and measure every transfer.

    Each cell (source, target, seed, and a score or a method) is kept in a record of
    its own when it is finished. A second call with the same folder does what is
    missing, after kill -9 at any moment too, and gives the same numbers. A cell that
    fails is recorded with its error and the others go on.

    Args:
        given: a YAML file, or values of the same form; see `Sweep`.
        out: the folder of records, networks and tables.
        engine: `"serial"`, or `"ray"`: cells as tasks of a Ray cluster that shares the
            folder (extra `ray`).
        retry_failed: do cells again that failed before.
        progress: hears of every cell when it is finished.

    Returns:
        What all finished cells came to; `results.csv`, `results.parquet` and, by
        method, `transfer-<method>.csv` and `.parquet` hold it too.

    Raises:
        DataError, ValueError: a sweep that cannot be run, found before any work, with
            the line of the file; another sweep is writing to the folder.
        OSError: nothing can be written, such as a full disk; what was finished is kept.
    """
    run = engine_named(engine)
    opened = opened_sweep(given)
    folder = Path(out)
    with locked(folder, "out"):
        text = yaml.safe_dump(msgspec.to_builtins(opened.sweep), sort_keys=False)
        write_text(folder / RESOLVED, text)
        before = preview(opened, folder, retry_failed=retry_failed)
        clock = Clock(before.todo, before.to_train, before.pace)
        for done in run(opened, folder, before.todo, retry_failed):
            source = opened.sources[done.cell.source]
            trained = training_seconds(folder, source) or 0.0
            progress(clock.tick(done, trained))
        result = SweepResult(opened.sweep, finished(opened, folder))
        result.write(folder)
    return result


def read_sweep(folder: str | Path) -> SweepResult:
    """Return what is finished in the folder of a sweep, which may be at work.

    Raises:
        DataError, ValueError: no such folder, or its data are gone.
    """
    opened = opened_sweep(Path(folder) / RESOLVED)
    return SweepResult(opened.sweep, finished(opened, Path(folder)))


def preview_sweep(
    given: Given, out: str | Path, *, retry_failed: bool = False
) -> Preview:
    """Return what `sweep` would do, and how long it takes by what was measured.

    Raises:
        DataError, ValueError: a sweep that cannot be run.
    """
    return preview(opened_sweep(given), Path(out), retry_failed=retry_failed)


def opened_sweep(given: Given) -> Opened:
    """Return a sweep that is checked, with its data opened.

    Raises:
        DataError, ValueError: what is wrong with it, and in which line of the file.
    """
    asked = sweep_of(given)
    try:
        check(asked)
        return open_sweep(asked)
    except SpecError as error:
        if isinstance(given, str | Path):
            raise located(given, error) from error
        raise

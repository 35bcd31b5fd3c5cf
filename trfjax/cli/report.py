"""`trfjax report`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trfjax.errors import DataError
from trfjax.ranking.result import read_ranking
from trfjax.reporting.report import report
from trfjax.studies.outputs import check_file
from trfjax.studies.study import read_outcome


def run(config: Any) -> int:
    """Write the report of a finished ranking again."""
    folder = Path(config.folder)
    found = [folder / "results.json", folder / "ranking" / "results.json"]
    results = next((path for path in found if path.is_file()), None)
    if results is None:
        problem = "holds no results.json" if folder.is_dir() else "no such folder"
        raise DataError(
            folder, f"{problem}; give --folder the folder trfjax rank wrote (its --out)"
        )
    out = check_file(config.out or folder / "report.html", "--out", ".html")
    parts: dict[str, Any] = {}
    if (outcome := read_outcome(folder)) is not None:
        parts = {"measured": outcome["measured"], "timings": outcome["timings"]}
    path = report(read_ranking(results), out, **parts)
    print(f"report: {path}")
    return 0

"""`trfjax report`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trfjax.errors import DataError
from trfjax.files import read_json
from trfjax.ranking.result import read_ranking


def run(config: Any) -> int:
    """Write the report of a finished ranking again."""
    folder = Path(config.folder)
    found = [folder / "results.json", folder / "ranking" / "results.json"]
    results = next((path for path in found if path.is_file()), None)
    if results is None:
        raise DataError(folder, "holds no results.json; give a folder of trfjax rank")
    parts: dict[str, Any] = {}
    if (folder / "outcome.json").is_file():
        outcome = read_json(folder / "outcome.json")
        parts = {"measured": outcome["measured"], "timings": outcome["timings"]}
    path = read_ranking(results).report(config.out or folder / "report.html", **parts)
    print(f"report: {path}")
    return 0

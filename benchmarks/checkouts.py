"""The same measurement in several checkouts of trfjax, in turn, each a process.

A script with measurements calls `alternating`; in the process of a checkout it is run
with `--measure`, and prints one line of JSON.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any


def alternating(
    script: str, checkouts: Sequence[Path], words: Sequence[str], rounds: int
) -> dict[str, list[dict[str, Any]]]:
    """Return what the script measures in every checkout, by its path."""
    found: dict[str, list[dict[str, Any]]] = {str(place): [] for place in checkouts}
    for _ in range(rounds):
        for place in checkouts:
            found[str(place)].append(measured(script, place, words))
    return found


def measured(script: str, checkout: Path, words: Sequence[str]) -> dict[str, Any]:
    """Return what the script measures with the code of one checkout."""
    run = subprocess.run(
        [sys.executable, str(Path(script).resolve()), "--measure", *words],
        capture_output=True,
        text=True,
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(Path(checkout).resolve())},
    )
    if run.returncode:
        raise RuntimeError(f"{checkout}: {run.stderr[-2000:]}")
    return json.loads(run.stdout.splitlines()[-1])


def medians(runs: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Return the median of every number of several runs."""
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def machine() -> str:
    """Return what the figures were measured on."""
    names = ("jax", "numpy")
    libraries = ", ".join(f"{name} {version(name)}" for name in names)
    chip = platform.processor() or platform.machine()
    return f"{chip}, {os.cpu_count()} CPUs, {libraries}"

"""Work in a process of its own, which is what makes its peak memory measurable."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


def alone(function: Callable[..., T], *args: Any) -> T:
    """Call a module-level function in a fresh process."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *args).result()


def peak_memory() -> float:
    """Return the peak memory of this process so far, in GB (2^30 bytes)."""
    status = Path("/proc/self/status")
    if status.is_file():  # ru_maxrss of Linux includes what the parent had when forking
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**30 if sys.platform == "darwin" else 2**20)

"""One job of the transport benchmark, in a process of its own."""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from transport_gradient import gradient
from transport_peers import solve
from transport_reference import reference


def child(job: dict[str, Any]) -> dict[str, Any]:
    """Run one job; the arrays are in its file."""
    with np.load(job["file"]) as file:
        arrays = {name: file[name] for name in file.files}
    kinds: dict[str, Callable[..., dict[str, Any]]] = {
        "solve": solve, "reference": reference, "gradient": gradient,
        "bandwidth": bandwidth,
    }  # fmt: skip
    found = kinds[job["kind"]](job, arrays)
    return {**found, "memory_gb": peak_memory() / 1e9}


def peak_memory() -> float:
    """Return the peak resident memory of this process in bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss of Linux includes what the parent had when forking
        lines = status.read_text().splitlines()
        return 1024.0 * int(next(v for v in lines if "VmHWM" in v).split()[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1.0 if sys.platform == "darwin" else 1024.0)


def bandwidth(job: dict[str, Any], arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Measure how fast memory is copied, in bytes read and written a second."""
    import jax
    import jax.numpy as jnp

    cells = job["cells"]
    copy = jax.jit(lambda v: v + 1)
    value = jax.block_until_ready(copy(jnp.zeros(cells, jnp.float32)))
    seconds = []
    for _ in range(10):
        start = time.perf_counter()
        jax.block_until_ready(copy(value))
        seconds.append(time.perf_counter() - start)
    device = jax.devices()[0]
    return {
        "bytes_a_second": 8 * cells / statistics.median(seconds),
        "device": f"{device.platform} {device.device_kind}",
    }


if __name__ == "__main__":
    print(json.dumps(child(json.loads(sys.argv[1]))))

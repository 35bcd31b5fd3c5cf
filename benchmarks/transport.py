"""How fast and how exact the transport solver is, next to its peers.

    python benchmarks/transport.py --quick                  # a minute or two
    python benchmarks/transport.py --out transport.csv      # everything
    python benchmarks/transport.py --only probs-10000 map --device gpu
    python benchmarks/transport.py --features source.safetensors target.safetensors

All peers get the same float32 arrays: pixels of two synthetic cities as one trained
network sees them, or files of `trfjax extract`. Each peer runs in a process of its own,
whose peak memory is its own, under a time limit. W_T errors are against a float64
solution found in NumPy, its marginals right to 1e-8 (first draw; kept in --work). Exact
peers solve another problem, so they have no W_T error.
"""

from __future__ import annotations

import argparse
import csv
import importlib.metadata
import importlib.util
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from transport_draws import SPACES, features, write_draws, write_map
from transport_peers import EXACT, NEEDS, PEERS, ott_draws

COLUMNS = (
    "peer", "problem", "d", "draws", "seconds", "first_call", "times_emd", "times_ott",
    "wt", "wt_error", "memory_gb", "iterations", "marginal_error", "converged", "note",
)  # fmt: skip
JOB = Path(__file__).with_name("transport_job.py")
EXTRAPOLATED = 64  # problems of a map that are solved one by one


def run(
    job: dict[str, Any], options: argparse.Namespace, *, x64: bool = False
) -> dict[str, Any]:
    """Run a job in a process of its own; say so if it did not end well."""
    platform_name = "cuda" if options.device == "gpu" else "cpu"
    if job["kind"] == "reference":
        platform_name = "cpu"
    env = {
        **os.environ, "JAX_PLATFORMS": platform_name, "PYTHONWARNINGS": "ignore",
        "JAX_ENABLE_X64": "1" if x64 else "0",
    }  # fmt: skip
    limit = job["limit"]
    try:
        done = subprocess.run(
            [sys.executable, str(JOB), json.dumps(job)],
            env=env, capture_output=True, text=True, timeout=limit,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"note": f"timed out after {limit:g} s", "timed_out": True}
    if done.returncode < 0:
        return {"note": f"killed by signal {-done.returncode} (memory?)"}
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {"note": f"failed: {last[:120]}"}
    return json.loads(done.stdout.strip().splitlines()[-1])


def reference_of(job: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """Return the float64 values of a problem, solved once."""
    kept = options.work / f"reference-{job['digest']}-{job['epsilon']:g}.json"
    if kept.exists():
        return json.loads(kept.read_text())
    found = run(
        {**job, "kind": "reference", "limit": options.reference_limit}, options,
        x64=True,
    )  # fmt: skip
    if "wt" in found and found["marginal_error"] < 1e-8:
        kept.write_text(json.dumps(found))
    return found


class Table:
    """Rows printed as they come, and written to a CSV file each time."""

    def __init__(self, out: Path | None) -> None:
        self.out, self.rows = out, []
        widths = zip(COLUMNS[:-1], WIDTHS, strict=True)
        print("  ".join(f"{name:>{w}}" for name, w in widths) + "  note")

    def add(self, *rows: dict[str, Any]) -> None:
        """Print rows, and write all rows so far."""
        self.rows.extend(rows)
        for row in rows:
            cells = zip(COLUMNS[:-1], WIDTHS, strict=True)
            line = "  ".join(f"{shown(row.get(name)):>{w}}" for name, w in cells)
            print(f"{line}  {row.get('note') or ''}".rstrip(), flush=True)
        if self.out:
            with self.out.open("w", newline="") as file:
                writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
                writer.writeheader()
                writer.writerows(self.rows)


WIDTHS = (10, 18, 3, 5, 8, 10, 9, 9, 8, 8, 9, 10, 14, 9)


def shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.1e}" if 0 < abs(value) < 1e-3 else f"{value:.4g}"
    return str(value)


def compare(
    name: str,
    job: dict[str, Any],
    table: Table,
    options: argparse.Namespace,
    slow: dict[str, str] | None = None,
) -> dict[str, dict[str, Any]]:
    """Run every peer on one problem; add their rows to the table.

    A peer in `slow` ran past the limit on the smaller problem named there, and is
    left out; those that run past it now are added.
    """
    slow = {} if slow is None else slow
    truth = reference_of(job, options)
    if "wt" not in truth:
        print(f"# {name}: no reference, {truth['note']}")
    elif truth["marginal_error"] > 1e-8:
        print(f"# {name}: reference has marginal error {truth['marginal_error']:.1e}")
    found = {}
    for peer in chosen(PEERS, options.peers):
        module = NEEDS.get(peer)
        if module and importlib.util.find_spec(module) is None:
            found[peer] = {"note": "absent: not installed"}
        elif job.get("sample") and peer not in ("emd", "ott", "ours"):
            continue
        elif peer in slow:
            found[peer] = {"note": f"left out: {slow[peer]}", "timed_out": True}
        else:
            mine = {**job, "kind": "solve", "peer": peer}
            if peer in ("ott", "ott-map") and options.device == "cpu":
                mine["draws"] = ott_draws(job["n"], job["count"])
            found[peer] = run(mine, options)
            if found[peer].get("timed_out"):
                slow[peer] = f"{found[peer]['note']} on {name}"
    for peer, row in found.items():
        row.update(peer=peer, problem=name, d=job["d"])
        values = row.pop("wt", None)
        if values:
            row["wt"] = values[0]
            if peer not in EXACT and "wt" in truth:
                pairs = zip(values, truth["wt"], strict=False)
                row["wt_error"] = max(abs(v - w) for v, w in pairs)
            elif peer in EXACT:
                row["note"] = "unregularised plan"
        if job.get("sample") and peer == "emd" and "seconds" in row:
            row["note"] = f"loop, extrapolated from {row['draws']} problems"
        for other in ("emd", "ott"):
            row[f"times_{other}"] = times(row, found.get(other), job["limit"])
    table.add(*found.values())
    return found


def times(
    row: dict[str, Any], other: dict[str, Any] | None, limit: float
) -> str | float | None:
    """Return how many times faster a peer is; a lower bound where one timed out."""
    if other is None or not row.get("seconds"):
        return None
    if other.get("seconds"):
        return other["seconds"] / row["seconds"]
    if other.get("timed_out"):
        return f">{limit / row['seconds']:.3g}"  # not even one draw
    return None


def chosen(names: Any, wanted: list[str] | None) -> list[str]:
    return [n for n in names if not wanted or n in wanted]


def machine(options: argparse.Namespace, device: str) -> str:
    """Return machine and versions."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text().splitlines()
        names = [line.split(":")[1].strip() for line in lines if "model name" in line]
        cpu = names[0] if names else cpu
    versions = []
    for name in ("jax", "ott-jax", "numpy", "scipy", "POT", "torch", "geomloss"):
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"{name} absent")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    return (
        f"# {cpu}, {cores or os.cpu_count()} cores, device {device}, load "
        f"{os.getloadavg()[0]:.1f}; Python {platform.python_version()}, "
        f"{', '.join(versions)}"
    )


def main(options: argparse.Namespace) -> None:
    options.work.mkdir(parents=True, exist_ok=True)
    source, target, note = features(options)
    scratch = options.work / "draws.npz"
    base = {"epsilon": options.epsilon, "limit": options.limit}
    first = write_draws(scratch, source, target, "probs", 16, 1)
    cells = 2**24 if options.quick or options.device == "cpu" else 2**28
    speed = run({**base, **first, "kind": "bandwidth", "cells": cells}, options)
    print(machine(options, speed.get("device", speed.get("note", "?"))))
    print(
        f"# {note}; {options.draws} draws, epsilon {options.epsilon:g}, limit "
        f"{options.limit:g} s a peer; seconds per draw, compile in first_call\n"
    )
    table = Table(options.out)
    sizes = (1000,) if options.quick else (1000, 4000, 10_000)
    draws = min(options.draws, 3) if options.quick else options.draws
    problems = [f"{space}-{n}" for space in SPACES for n in sizes]
    slow: dict[str, dict[str, str]] = {space: {} for space in SPACES}
    for name in chosen(problems, options.only):
        space, n = name.rsplit("-", 1)
        if space not in (*source.spaces, "probs"):
            print(f"# {name}: the files hold no {space}")
            continue
        job = base | write_draws(scratch, source, target, space, int(n), draws)
        found = compare(name, job, table, options, slow[space])
        if options.device == "gpu":
            print(limit_line(found.get("ours", {}), int(n), speed))
    if not options.only or "map" in options.only:
        count = 512 if options.quick else 8192
        job = base | write_map(scratch, source, target, count)
        job |= {"sample": EXTRAPOLATED, "check": 8}
        found = compare(f"map-{count}", job, table, options)
    if not options.only or "scaling" in options.only:
        scaling(base, source, target, table, options)
    if not options.only or "gradient" in options.only:
        n = 300 if options.quick else 1000
        job = base | write_draws(scratch, source, target, "probs", n, 1)
        row = run({**job, "kind": "gradient"}, options)
        table.add({**row, "peer": "ours", "problem": f"gradient-{n}", "d": job["d"]})
    scratch.unlink(missing_ok=True)


def scaling(
    base: dict[str, Any],
    source: Any,
    target: Any,
    table: Table,
    options: argparse.Namespace,
) -> None:
    """Time one draw of growing size: seconds for every pair of pixels."""
    from trfjax.transport.nested import NESTED_ABOVE

    sizes = (1000, 2000, 5000, 10_000, 20_000, 50_000)[: 2 if options.quick else 6]
    for n in sizes:
        if n > min(len(source), len(target)):
            print(f"# scaling-{n}: only {min(len(source), len(target))} pixels")
            continue
        job = base | write_draws(
            options.work / "draws.npz", source, target, "probs", n, 1
        )
        row = run({**job, "kind": "solve", "peer": "ours"}, options)
        if "seconds" in row:
            row["wt"] = row["wt"][0]
            row["note"] = f"{row['seconds'] / n**2 * 1e9:.2f} ns per pixel pair" + (
                ", kernel streamed" if n**2 > NESTED_ABOVE else ""
            )
        table.add({**row, "peer": "ours", "problem": f"scaling-{n}", "d": job["d"]})


def limit_line(row: dict[str, Any], n: int, speed: dict[str, Any]) -> str:
    """Return how far from the limit of memory a draw is: a kernel read twice."""
    if "seconds" not in row or "bytes_a_second" not in speed:
        return "# bandwidth limit: not measured"
    limit = row["iterations"] * 2 * 4 * n**2 / speed["bytes_a_second"]
    return (
        f"# bandwidth limit: {row['iterations']:.0f} iterations, float32 kernel read "
        f"twice in each, {speed['bytes_a_second'] / 1e9:.0f} GB/s copied: {limit:.3g} "
        f"s a draw; measured {row['seconds'] / limit:.2f} times that"
    )


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--features", nargs=2, metavar=("SOURCE", "TARGET"), help=".safetensors files")
    add("--device", choices=("cpu", "gpu"), default="cpu")
    add("--quick", action="store_true", help="N = 1,000 only, 3 draws, a small map")
    add("--only", nargs="+", help="problems: probs-1000 ..., map, scaling, gradient")
    add("--peers", nargs="+", choices=PEERS)
    add("--draws", type=int, default=10)
    add("--epsilon", type=float, default=0.1)
    add("--limit", type=float, default=600, help="seconds a peer may take")
    add("--reference-limit", type=float, default=3600)
    add("--width", type=int, default=64, help="of the U-Net, and so of penultimate")
    add("--work", type=Path, default=Path("runs/benchmark-transport"))
    add("--out", type=Path, help="CSV file")
    return parser.parse_args()


if __name__ == "__main__":
    main(parsed())

"""Kill -9 at random moments of a command that is started anew until it is through.

`python -m tests.kills train --kills 50 --seed 0 --folder build/kills` does it for one
command and prints what came of it. The command runs in a fork of this process, which
has imported everything and computed nothing, so that a start is quick.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

SMALL = ["--size", "32", "64", "--count", "4"]
LEARN = ["--steps", "4", "--batch-size", "2"]
TRAIN = ["train", "--width", "2", *SMALL, "--steps", "16", "--batch-size", "2"]
TRAIN += ["--checkpoint-every", "1", "--resume"]
RANK = ["rank", "--shots", "3", "--bootstrap", "5", "--pixels", "50", "--repeats", "2"]
RANK += ["--metrics", "otce", "leep", "nce", "h_score"]
TIMED = ("seconds", "model", "timings", "source_accuracy")  # not of the numbers


def words_of(command: str, sources: Path, out: Path) -> list[str]:
    """Return the command that writes to `out`; its sources lie in a folder."""
    runs = [str(sources / city) for city in ("arden", "bruma")]
    if command == "train":
        return [*TRAIN, "--out", str(out)]
    if command == "rank":
        return [*RANK, "--sources", *runs, "--out", str(out)]
    if command == "extract":
        words = ["extract", "--model", runs[0], "--shots", "3", "--pixels", "500"]
        return [*words, "--out", str(out / "features.safetensors")]
    words = ["finetune", "--source", runs[0], "--count", "8", "--shots", "3", *LEARN]
    return [*words, "--seeds", "0", "1", "2", "--out", str(out)]


def started(words: list[str], log: Path) -> int:
    """Start a command in a process of its own; return its number."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # JAX warns of forks; it has no threads yet
        pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        handle = os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        from trfjax.cli import run

        code = run(words)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def stir(folder: Path) -> Any:
    """Return what changes as soon as something is written in a folder."""
    return sorted(p.name for p in folder.rglob("*") if p.name != ".lock"), sum(
        p.stat().st_mtime_ns for p in folder.rglob("[!.]*") if p.is_file()
    )


def ended(pid: int, seconds: float, place: Path | None = None) -> int | None:
    """Wait so long; return the exit code, None for a process that still runs.

    Where a place is given, the time begins when something is written there.
    """
    end, before = time.monotonic() + seconds, place and stir(place)
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if place is not None:
            try:
                if stir(place) != before:
                    place, end = None, time.monotonic() + seconds
            except FileNotFoundError:  # it came and went
                place, end = None, time.monotonic() + seconds
        elif time.monotonic() >= end:
            return None
        time.sleep(0.002)


def timeless(value: Any) -> Any:
    """Return a value without what differs from run to run."""
    if isinstance(value, dict):
        return {k: timeless(v) for k, v in value.items() if k not in TIMED}
    return [timeless(v) for v in value] if isinstance(value, list) else value


def kept(folder: Path) -> dict[str, Any]:
    """Return what a folder has acknowledged: every file under its final name is read.

    Steps of an unfinished training are counted, everything else is compared.
    """
    from trfjax.files import digest, read_arrays
    from trfjax.store import read_record

    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("[!.]*")):
        name = str(path.relative_to(folder))
        if path.name == "run.json" or path.parent.name == "cells":
            record = read_record(path)
            found[name] = digest(timeless(record.value), record.error)
        elif path.suffix == ".safetensors":
            arrays, facts = read_arrays(path)
            parts = [part for key in sorted(arrays) for part in (key, arrays[key])]
            steps = len(facts.get("losses", ()))
            found[name] = steps or digest(*parts)
        elif path.name == "results.json":
            found[name] = digest(timeless(_rows(path)))
    return found


def _rows(path: Path) -> Any:
    """Return the cells of a ranking, or the runs of a fine-tuning."""
    from trfjax.files import read_json

    content: dict[str, Any] = read_json(path)
    return content["cells" if "cells" in content else "runs"]


def lost(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return the names of what was acknowledged and is gone or another."""
    return [
        name
        for name, value in before.items()
        if not (
            after.get(name) == value
            or (isinstance(value, int) and after.get(name, -1) >= value)
        )
    ]


def reference(
    command: str, folder: Path, sources: Path, log: Path
) -> tuple[dict[str, Any], float]:
    """Return what a command comes to that is never killed, and how long it takes."""
    known = folder / f"{command}.json"
    if known.is_file():
        found = json.loads(known.read_text())
        return found["right"], found["seconds"]
    for city in ("arden", "bruma"):
        words = [*TRAIN, "--data", f"synthetic:{city}", "--out", str(sources / city)]
        assert ended(started(words, log), 300) == 0, log.read_text()[-2000:]
    found, seconds = [], 0.0
    for attempt in range(2):  # the second finds all programs compiled
        place, begun = folder / f"{command}-whole-{attempt}", time.monotonic()
        code = ended(started(words_of(command, sources, place), log), 300)
        assert code == 0, log.read_text()[-2000:]
        seconds = time.monotonic() - begun
        found.append(kept(place))
    assert found[0] and found[0] == found[1]
    known.write_text(json.dumps({"right": found[1], "seconds": seconds}))
    return found[1], seconds


def kill_often(
    command: str, folder: Path, *, kills: int, seed: int, seconds: float
) -> dict[str, Any]:
    """Kill a command so often, or for so long; return what came of it.

    Raises:
        AssertionError: something acknowledged was lost, a run failed or came to other
            numbers than one that was never killed.
    """
    rng, sources = np.random.default_rng(seed), folder / "sources"
    log, begun = folder / f"{command}.log", time.monotonic()
    right, whole = reference(command, folder, sources, log)
    done, rounds, kept_at_kill = 0, 0, 0
    while done < kills and time.monotonic() - begun < seconds:
        place, before = folder / f"{command}-{seed}-{rounds}", {}
        while True:
            pid = started(words_of(command, sources, place), log)
            enough = done >= kills or time.monotonic() - begun > seconds
            if enough:
                code = ended(pid, 300)
            elif rng.random() < 0.5:  # at any moment of the whole run
                code = ended(pid, rng.uniform(0, 1.2 * whole))
            else:  # where it writes
                code = ended(pid, rng.uniform(0, 0.3 * whole), place)
            if code is None:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                done += 1
            now = kept(place)
            assert not lost(before, now), (command, seed, done, lost(before, now))
            before = now
            if code is not None:
                break
            kept_at_kill += bool(now)
        assert code == 0, (command, seed, done, log.read_text()[-2000:])
        assert now == right, (command, seed, done)
        rounds += 1
    return {
        "command": command, "kills": done, "seed": seed, "runs finished": rounds,
        "kills with something acknowledged": kept_at_kill,
        "seconds of a whole run": round(whole, 2),
    }  # fmt: skip


def main() -> None:
    """Read the options, kill and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=("train", "extract", "rank", "finetune"))
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--folder", type=Path, required=True)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("TRFJAX_CACHE", str(given.folder / "cache"))
    from trfjax.cli import extract, finetune, keep_programs, rank, train

    keep_programs()
    assert all((extract, finetune, rank, train))  # imported before the fork
    limits = {"kills": given.kills, "seed": given.seed, "seconds": given.seconds}
    found = kill_often(given.command, given.folder, **limits)
    print(json.dumps(found))


if __name__ == "__main__":
    main()

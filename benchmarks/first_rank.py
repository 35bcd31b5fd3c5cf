"""What the first ranking of a process costs: programs, CPU seconds, seconds.

    python benchmarks/first_rank.py --before ../before --rounds 3

One source, 20 target and 40 source images of 64 x 128, a U-Net of base 8 with fresh
weights; with an empty cache of programs and with a filled one. `--before` is another
checkout, run in turn with this one. CPU seconds are of all threads together; seconds
say something on a quiet machine only.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from checkouts import alternating, machine, measured, medians

HERE = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, help="another checkout")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", metavar="CACHE", help="once, in this process")
    options = parser.parse_args()
    if options.measure is not None:
        print(json.dumps(measure(options.measure)))
        return
    checkouts = [HERE] if options.before is None else [options.before, HERE]
    print(machine())
    for cache in ("empty", "filled"):
        found: dict[str, list[dict[str, float]]] = {}
        with tempfile.TemporaryDirectory() as folder:
            places = {place: f"{folder}/{i}" for i, place in enumerate(checkouts)}
            if cache == "filled":
                for place, programs in places.items():
                    measured(__file__, place, [programs])
            for turn in range(options.rounds):
                for place, programs in places.items():
                    name = programs if cache == "filled" else f"{programs}-{turn}"
                    runs = alternating(__file__, [place], [name], 1)[str(place)]
                    found.setdefault(str(place), []).extend(runs)
        for place, runs in found.items():
            numbers = medians(runs)
            print(
                f"{cache:7} {place}: {numbers['programs']:.0f} programs, "
                f"{numbers['cpu']:.2f} CPU s, {numbers['wall']:.2f} s"
            )


def measure(cache: str) -> dict[str, float]:
    """Rank once; importing and reading images are not counted."""
    import jax
    from jax import monitoring

    jax.config.update("jax_compilation_cache_dir", cache)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    programs = []

    def listen(event: str, duration_secs: float, **facts: Any) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            programs.append(facts)

    monitoring.register_event_duration_secs_listener(listen)

    import trfjax
    from trfjax.models import create_model

    def city(name: str, count: int):
        return trfjax.load_dataset(f"synthetic:{name}", size=(64, 128), count=count)

    network = create_model("unet", num_classes=17, width=8)
    source, target = city("arden", 40), city("kestry", 20)
    programs.clear()
    cpu, wall = time.process_time(), time.perf_counter()
    trfjax.rank([trfjax.Source("arden", network, source)], target, progress=False)
    return {
        "programs": len(programs),
        "cpu": time.process_time() - cpu,
        "wall": time.perf_counter() - wall,
    }


if __name__ == "__main__":
    main()

"""What a further source of a ranking costs, once everything is compiled.

    python benchmarks/further_source.py --before ../before --height 512 --width 1024

A U-Net of base 8 with fresh weights, as many source as target images. `forward` is
the part of the time in which the network runs, measured by itself on the same images.
`--before` is another checkout, run in turn with this one. CPU seconds are of all
threads together; seconds say something on a quiet machine only.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from checkouts import alternating, machine, medians

HERE = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, help="another checkout")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--height", type=int, default=64)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--source-images", type=int, default=40)
    parser.add_argument("--target-images", type=int, default=20)
    parser.add_argument("--measure", action="store_true", help="once, in this process")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options)))
        return
    checkouts = [HERE] if options.before is None else [options.before, HERE]
    names = ("height", "width", "source_images", "target_images")
    words = [f"--{n.replace('_', '-')}={getattr(options, n)}" for n in names]
    print(machine())
    for place, runs in alternating(__file__, checkouts, words, options.rounds).items():
        found = medians(runs)
        print(
            f"{place}: {found['cpu']:.2f} CPU s a source, of which the network "
            f"{found['forward_cpu'] / found['cpu']:.0%}; {found['wall']:.2f} s, of "
            f"which the network {found['forward'] / found['wall']:.0%}"
        )


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Rank one network, then another: the second is a further source."""
    import jax
    import numpy as np

    import trfjax
    from trfjax.models import create_model
    from trfjax.state import apply

    size = (options.height, options.width)

    def city(name: str, count: int):
        return trfjax.load_dataset(f"synthetic:{name}", size=size, count=count)

    networks = [
        create_model("unet", num_classes=17, width=8, key=jax.random.key(seed))
        for seed in range(2)
    ]
    source = city("arden", options.source_images)
    target = city("kestry", options.target_images)
    for data in (source, target):
        for i in range(len(data)):
            data[i]  # drawn once, then kept

    def rank(network):
        return trfjax.rank(
            [trfjax.Source("a", network, source)], target, progress=False
        )

    run = jax.jit(apply)
    batch = np.zeros((8, *size, 3), np.float32)
    batches = sum(-(-len(data) // 8) for data in (source, target))

    def forward(network):
        for _ in range(batches):
            jax.block_until_ready(run(network, batch))

    rank(networks[0]), forward(networks[0])
    found = {}
    for name, work in (("", rank), ("forward", forward)):
        cpu, wall = time.process_time(), time.perf_counter()
        work(networks[1])
        found[name or "wall"] = time.perf_counter() - wall
        found[f"{name}_cpu" if name else "cpu"] = time.process_time() - cpu
    return found


if __name__ == "__main__":
    main()

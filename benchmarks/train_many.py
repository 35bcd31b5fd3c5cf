"""Is one program for S sources faster than S runs, one after the other?

    python benchmarks/train_many.py
    python benchmarks/train_many.py --orders unrolled --sources 3 --steps 30

Trains U-Nets on made-up cities, the same networks, images and batches in every row. A
row is one process: the first step includes compilation, the others are timed each and
their median is shown. Losses are compared with those of the separate runs.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from typing import Any

import numpy as np

from trfjax.reporting.tables import markdown
from trfjax.studies.processes import alone, peak_memory

KINDS = ("separate", "unrolled", "map", "vmap")


def measure(kind: str, sources: int, width: int, steps: int) -> dict[str, Any]:
    """Train all sources in one way; times are of one step of all of them."""
    import jax

    from trfjax.data.synthetic import CITIES, synthetic_city
    from trfjax.models import create_model
    from trfjax.state import ModelCard
    from trfjax.training.many import train_many
    from trfjax.training.recipe import Recipe
    from trfjax.training.train import train

    size, recipe = (64, 128), Recipe(steps=steps)
    cities = [synthetic_city(city, 24, size=size) for city in CITIES[:sources]]
    config = {"num_classes": cities[0].num_classes, "width": width}
    models = [
        create_model("unet", key=jax.random.key(i), **config) for i in range(sources)
    ]
    cards = [
        ModelCard(city.name, "unet", config, city.class_names, size) for city in cities
    ]
    for city in cities:  # drawn on first reading; both ways find them drawn
        _ = [city[i] for i in range(len(city))]
    times: list[list[float]] = []
    losses: list[list[float]] = []
    started = time.perf_counter()
    if kind == "separate":
        for model, city, card in zip(models, cities, cards, strict=True):
            marks = [time.perf_counter()]
            result = train(
                model, city, card=card, recipe=recipe, progress=False,
                on_step=lambda step, loss, m=marks: m.append(time.perf_counter()),
            )  # fmt: skip
            times.append(np.diff(marks).tolist())
            losses.append(result.history["loss"])
    else:
        marks = [time.perf_counter()]
        found = train_many(
            models, cities, cards=cards, recipe=recipe, progress=False,
            order=kind,
            on_step=lambda step, values: marks.append(time.perf_counter()),
        )  # fmt: skip
        times.append(np.diff(marks).tolist())
        losses = [result.history["loss"] for result in found.results]
    return {
        "total": time.perf_counter() - started,
        "first": sum(part[0] for part in times),
        "step": sum(statistics.median(part[1:]) for part in times),
        "losses": losses,
        "memory": peak_memory(),
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
    }


def main(options: argparse.Namespace) -> None:
    """Measure every way in turn and print the table."""
    rows: list[list[Any]] = []
    reference: np.ndarray | None = None
    for kind in KINDS[:1] + tuple(options.orders):
        found = alone(measure, kind, options.sources, options.width, options.steps)
        losses = np.array(found["losses"])
        reference = losses if reference is None else reference
        apart = np.abs(losses / reference - 1)
        rows.append([
            kind, found["first"], found["step"], f"{found['total']:.1f}",
            f"{found['memory']:.2f}", f"{apart[:, :5].max():.1e}", f"{apart.max():.1e}",
        ])  # fmt: skip
        if kind == "separate":
            print(
                f"# {options.sources} U-Nets of width {options.width}, 64 x 128, "
                f"batch 8, {options.steps} steps; jax {found['jax']} on "
                f"{found['device']}, {platform.machine()}"
            )
    header = ["way", "first step s", "step of all s", "total s", "peak GB"]
    header += ["largest relative difference of a loss, 5 steps", "all steps"]
    print(markdown(header, rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sources", type=int, default=3)
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--orders", nargs="+", choices=KINDS[1:], default=KINDS[1:])
    main(parser.parse_args())

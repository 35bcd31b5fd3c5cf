"""Seconds and peak memory of maps: python benchmarks/maps.py --images 20 --stride 4.

Made-up probabilities of 19 classes, by default 20 images of 512 x 1024 pixels and cells
of 4 x 4. CPU seconds are of all threads together, so that a busy machine changes them
little. The loop over cells calls the score of a single target on some of the cells, and
is scaled to all.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import time
from typing import Any

import numpy as np

METRICS = ("leep", "nce", "logme", "h_score", "otce")


def made(
    images: int, size: tuple[int, int], classes: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities, as of a source that is right three times in four."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(classes, size=(images, size[0] // 32, size[1] // 32))
    labels = np.repeat(np.repeat(coarse, 32, 1), 32, 2)
    logits = rng.standard_normal((*labels.shape, classes), np.float32)
    right = 3 * (rng.random((*labels.shape, 1)) < 0.75)
    np.put_along_axis(logits, labels[..., None], right, axis=3)
    logits -= logits.max(axis=3, keepdims=True)
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=3, keepdims=True)
    return logits, labels


def sides(metric: str, args: argparse.Namespace) -> list[np.ndarray | None]:
    """Return what `transfer_map` takes, of as many rows of cells as asked for."""
    height = args.rows * args.stride if args.rows else args.height
    size = -(-height // 32) * 32, args.width
    given, labels = made(args.images, size, args.classes, 0)
    source = (
        made(args.images, size, args.classes, 1) if metric == "otce" else (None,) * 2
    )
    given = given.argmax(axis=3) if metric == "nce" else given
    parts = (*source, given, labels)
    return [None if part is None else part[:, :height] for part in parts]


def measured(metric: str, args: argparse.Namespace) -> dict[str, Any]:
    """Map one score, all of it or some rows of cells, scaled to all."""
    import trfjax

    parts = sides(metric, args)
    first = [None if part is None else part[:, : args.stride] for part in parts]
    options = {"metric": metric, "stride": args.stride, "num_classes": args.classes}
    start = time.process_time()
    trfjax.transfer_map(*first, **options)
    compiled, wall = time.process_time(), time.perf_counter()
    found = trfjax.transfer_map(*parts, **options)
    seconds, wall = time.process_time() - compiled, time.perf_counter() - wall
    share = found.values.size / cells(args)
    return {
        "metric": metric,
        "share_of_all_cells": share,
        "cpu_seconds_scaled": seconds / share,
        "wall_seconds_scaled": wall / share,
        "first_row_cpu_seconds": compiled - start,  # with compilation
        "loop_cpu_seconds_scaled": loop(metric, parts, args),
        "peak_GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


def cells(args: argparse.Namespace) -> int:
    """Return the number of cells of the whole map."""
    return -(-args.height // args.stride) * -(-args.width // args.stride)


def loop(
    metric: str, parts: list[np.ndarray | None], args: argparse.Namespace
) -> float:
    """Return the CPU seconds of the function called cell by cell, scaled to all."""
    from trfjax.scores import SCORES

    spec, start = SCORES[metric], 0.0
    options: dict[str, Any] = {}
    if metric == "otce":
        options = {"key": 0, "repeats": 1, "num_source_classes": args.classes}
    for number in range(args.loop_cells + 3):
        if number == 3:  # compiled by now
            start = time.process_time()
        left = number * args.stride
        part = np.s_[:, : args.stride, left : left + args.stride]
        pixels = [x[part] for x in parts if x is not None]
        result = spec.function(*pixels, num_classes=args.classes, **options)
        float(getattr(result, "score", result))
    return (time.process_time() - start) / args.loop_cells * cells(args)


def main() -> None:
    """Measure every score in a process of its own, so that the peak is its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--height", type=int, default=512)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--classes", type=int, default=19)
    parser.add_argument("--stride", type=int, default=4)
    parser.add_argument("--rows", type=int, default=0, help="rows of cells; 0: all")
    parser.add_argument("--loop-cells", type=int, default=20)
    parser.add_argument("--metrics", nargs="+", default=METRICS)
    args = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    for metric in args.metrics:
        with context.Pool(1) as pool:
            print(json.dumps(pool.apply(measured, (metric, args))), flush=True)


if __name__ == "__main__":
    main()

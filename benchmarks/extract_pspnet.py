"""What does extraction with a full-width PSPNet cost at 512 x 1024?

    python benchmarks/extract_pspnet.py
    python benchmarks/extract_pspnet.py --batches 4 --limit-gb 6

Each row is one process: a PSPNet of 68 million random weights runs over images of
noise, and `extract` keeps 10,000 pixels with probabilities and penultimate features.
With --limit-gb the process may not have more address space than that, so that memory
really runs out and the batch is halved.
"""

from __future__ import annotations

import argparse
import logging
import platform
import resource
import time
from typing import Any

import numpy as np

from trfjax.reporting.tables import markdown
from trfjax.studies.processes import alone, peak_memory

SIZE = (512, 1024)


def measure(images: int, batch: int, depth: int, limit: float | None) -> dict[str, Any]:
    """Extract once; what is logged tells how often the batch was halved."""
    import jax

    from trfjax.data import Dataset, LabelMap
    from trfjax.features.extract import extract
    from trfjax.models import create_model

    messages: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    logging.getLogger("trfjax").addHandler(handler)

    def read(position: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(position)
        image = rng.integers(0, 256, (*SIZE, 3), np.uint8)
        return image, rng.integers(0, 19, SIZE, np.int32)

    ids = tuple(f"noise-{i}" for i in range(images))
    names = tuple(map(str, range(19)))
    data = Dataset("noise", LabelMap(names), ids, read, ids, f"noise{images}")
    model = jax.jit(
        lambda key: create_model("pspnet", num_classes=19, depth=depth, key=key)
    )(jax.random.key(0))
    jax.block_until_ready(model)
    before = peak_memory()
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_AS, (int(limit * 2**30), int(limit * 2**30)))
    started = time.perf_counter()
    found = extract(
        model, data, spaces=("probs", "penultimate"), pixels=10_000,
        batch_size=batch, progress=False,
    )  # fmt: skip
    seconds = time.perf_counter() - started
    assert np.isfinite(found.space("penultimate")).all()
    return {
        "seconds": seconds,
        "model": before,
        "memory": peak_memory(),
        "messages": messages,
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
    }


def main(options: argparse.Namespace) -> None:
    """Measure every batch size and print the table."""
    rows: list[list[Any]] = []
    notes: list[str] = []
    for batch in options.batches:
        images = batch * -(-options.images // batch)
        found = alone(measure, images, batch, options.depth, options.limit_gb)
        notes += [f"batch {batch}: {message}" for message in found["messages"]]
        rows.append([
            batch, images, f"{found['seconds']:.1f}",
            f"{found['seconds'] / images:.2f}", f"{found['model']:.2f}",
            f"{found['memory']:.2f}",
        ])  # fmt: skip
        if len(rows) == 1:
            print(
                f"# PSPNet-{options.depth}, width 64, 512 x 1024; jax {found['jax']} "
                f"on {found['device']}, {platform.machine()}"
            )
    header = ["batch", "images", "seconds", "s per image"]
    print(markdown([*header, "peak GB before", "peak GB"], rows))
    print("\n".join(notes))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=4, help="at least, per row")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--depth", type=int, choices=(50, 101), default=101)
    parser.add_argument("--limit-gb", type=float, help="of address space")
    main(parser.parse_args())

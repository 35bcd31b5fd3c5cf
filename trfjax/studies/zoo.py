"""Small networks of the recipe table: trained one at a time, each in its own process.

A process of its own is what makes the peak memory of one network measurable.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import math
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from trfjax.errors import DataError
from trfjax.files import digest, read_json, write_json
from trfjax.studies.runs import MODEL, DataSpec
from trfjax.training.zoo import recipe_for

T = TypeVar("T")
DONE = "done.json"


def alone(function: Callable[..., T], *args: Any) -> T:
    """Call a module-level function in a fresh process."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *args).result()


def kept(
    path: Path, key: str, function: Callable[..., dict[str, Any]], *args: Any
) -> dict[str, Any]:
    """Return what a file keeps of an earlier call; else call and keep it.

    Args:
        path: of the JSON file.
        key: of everything the result depends on.
        function: called in a fresh process; it returns plain values.
        *args: of the function.
    """
    try:
        facts = read_json(path)
        if facts["key"] == key:
            return facts
    except (FileNotFoundError, DataError):
        pass
    facts = {"key": key, **alone(function, *args)}
    write_json(path, facts)
    return facts


def peak_memory() -> float:
    """Return the peak memory of this process so far, in GB (2^30 bytes)."""
    status = Path("/proc/self/status")
    if status.is_file():  # ru_maxrss of Linux includes what the parent had when forking
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**30 if sys.platform == "darwin" else 2**20)


def train_entry(
    name: str,
    data: DataSpec,
    folder: Path,
    *,
    held_out: float = 0.2,
    seed: int = 0,
    steps: int | None = None,
) -> dict[str, Any]:
    """Train a network of the recipe table, or read back what a finished run found.

    Args:
        name: of an entry of the table.
        data: images of the size to train at.
        folder: where the network is kept.
        held_out: share of the images, of other scenes, that mIoU is measured on.
        seed: of the initial weights, the batches and the split.
        steps: instead of those of the recipe.

    Returns:
        `parameters`, `steps`, `seconds` (with compilation and evaluation), `cpu`
        (seconds of all cores: what a shared machine does not change), `memory` (peak,
        GB), `miou`, `accuracy`, and the `key` of what was asked for.
    """
    entry = recipe_for(name)
    recipe = dataclasses.replace(
        entry.recipe, seed=seed, steps=steps or entry.recipe.steps
    )
    key = digest(
        msgspec.to_builtins(data), dataclasses.asdict(recipe), entry.architecture,
        dict(entry.config), held_out,
    )  # fmt: skip
    if not (folder / MODEL).is_file():
        (folder / DONE).unlink(missing_ok=True)
    return kept(folder / DONE, key, _train, name, data, folder, held_out, recipe)


def _train(
    name: str, spec: DataSpec, folder: Path, held_out: float, recipe: Any
) -> dict[str, Any]:
    import jax

    from trfjax.state import ModelCard
    from trfjax.studies.sources import train_to

    entry, data = recipe_for(name), spec.load()
    train, test = data.split(1 - held_out, seed=recipe.seed)
    size = data[0]["image"].shape[:2]
    card = ModelCard(
        name=name, architecture=entry.architecture,
        config={"num_classes": data.num_classes, **entry.config},
        class_names=data.class_names, input_size=(size[0], size[1]),
        ignore=data.ignore, trained_on=data.name,
    )  # fmt: skip
    started, worked = time.perf_counter(), time.process_time()
    trained, found = train_to(folder, card, train, test, recipe, progress=False)
    leaves = jax.tree.leaves(trained.model.params)
    return {
        "parameters": sum(math.prod(leaf.shape) for leaf in leaves),
        "steps": recipe.steps,
        "images": [len(train), len(test)],
        "seconds": time.perf_counter() - started,
        "cpu": time.process_time() - worked,
        "memory": peak_memory(),
        "miou": found.miou,
        "accuracy": found.accuracy,
    }


def table(header: list[str], rows: list[list[Any]]) -> str:
    """Return a table in Markdown; fractions have three digits after the point."""

    def text(value: Any) -> str:
        return f"{value:.3f}" if isinstance(value, float) else str(value)

    lines = [header, ["---"] * len(header), *([text(v) for v in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

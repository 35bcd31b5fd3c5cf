"""Small networks of the recipe table, each trained in a process of its own."""

from __future__ import annotations

import dataclasses
import math
import time
from pathlib import Path
from typing import Any

import jax
import msgspec

from trfjax.state import ModelCard
from trfjax.store import Made, Store
from trfjax.studies.processes import alone, peak_memory
from trfjax.studies.runs import MODEL, RUN
from trfjax.studies.sources import Training, train_source
from trfjax.studies.specs import DataSpec
from trfjax.training.recipe import Recipe
from trfjax.training.zoo import recipe_for


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
    key = {
        "data": msgspec.to_builtins(data),
        "recipe": recipe.to_dict(),
        "architecture": entry.architecture,
        "config": dict(entry.config),
        "held_out": held_out,
    }

    def work() -> Made:
        found = alone(_train, name, data, folder, held_out, recipe)
        return Made(value=found, files=(MODEL, f"{RUN}.json"))

    record = Store(folder).keep(key, work, name="cost")
    return record.value | {"key": record.key}


def _train(
    name: str, spec: DataSpec, folder: Path, held_out: float, recipe: Recipe
) -> dict[str, Any]:
    entry, data = recipe_for(name), spec.load()
    train, test = data.split(1 - held_out, seed=recipe.seed)
    size = data[0]["image"].shape[:2]
    card = ModelCard(
        name=name,
        architecture=entry.architecture,
        config={"num_classes": data.num_classes, **entry.config},
        class_names=data.class_names,
        input_size=(size[0], size[1]),
        ignore=data.ignore,
        trained_on=data.name,
    )
    training = Training(card=card, data=train, test=test, recipe=recipe, spec=spec)
    started, worked = time.perf_counter(), time.process_time()
    run = train_source(folder, training, progress=False)
    leaves = jax.tree.leaves(run.trained.model.params)
    return {
        "parameters": sum(math.prod(leaf.shape) for leaf in leaves),
        "steps": recipe.steps,
        "images": [len(train), len(test)],
        "seconds": time.perf_counter() - started,
        "cpu": time.process_time() - worked,
        "memory": peak_memory(),
        "miou": run.evaluation["miou"],
        "accuracy": run.evaluation["accuracy"],
    }

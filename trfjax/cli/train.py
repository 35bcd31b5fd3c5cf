"""`trfjax train`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from trfjax.data.dataset import Dataset
from trfjax.models import list_models, model_options
from trfjax.state import ModelCard
from trfjax.studies.runs import MODEL, check_folder, spec_of, write_config
from trfjax.studies.sources import train_to
from trfjax.training.evaluate import Evaluation
from trfjax.training.recipe import Recipe

HELD_OUT = 0.1  # share of the images, of other scenes, when no test set is named


def run(config: Any) -> int:
    """Train a network into a run folder."""
    folder = Path(config.out)
    if config.model not in list_models():
        raise ValueError(
            f"--model: unknown {config.model!r}; available: {', '.join(list_models())}"
        )
    data, test = _data(config)
    image = data[0]["image"].shape
    recipe = Recipe(
        steps=config.steps, batch_size=config.batch_size, seed=config.seed,
        **({} if config.learning_rate is None else
           {"learning_rate": config.learning_rate}),
    )  # fmt: skip
    card = ModelCard(
        name=config.name or folder.name,
        architecture=config.model,
        config={
            "num_classes": data.num_classes,
            "width": config.width,
            **_input_options(config.model, image),
        },
        class_names=data.class_names,
        input_size=config.size,
        **({"mean": (0.0,), "std": (1.0,)} if image[2] == 1 else {}),
        ignore=data.ignore,
        trained_on=data.name,
    )
    check_folder(folder, "--out")
    write_config(folder, config)
    print(f"{data.name}: {len(data)} images to train, {len(test)} to test")
    started = time.perf_counter()
    trained, evaluation = train_to(
        folder, card, data, test, recipe,
        resume=config.resume, checkpoint_every=config.checkpoint_every,
    )  # fmt: skip
    show(evaluation)
    print(
        f"{trained.card.name}: {time.perf_counter() - started:.0f} s, saved as "
        f"{folder / MODEL}\nrank it: trfjax rank --sources {folder} ... --target DATA",
        file=sys.stderr,
    )
    return 0


def show(evaluation: Evaluation) -> None:
    """Print what a network does on images it has not seen."""
    for name, iou in zip(evaluation.class_names, evaluation.class_iou, strict=True):
        print(f"  {name:16} IoU {'-' if np.isnan(iou) else format(iou, '.3f')}")
    print(
        f"mIoU {evaluation.miou:.3f}, accuracy {evaluation.accuracy:.3f}, "
        f"log-likelihood {evaluation.log_likelihood:.3f} on {evaluation.images} images"
    )


def _input_options(name: str, image: tuple[int, ...]) -> dict[str, Any]:
    """Return what a network has to be told of the images: channels, at times size."""
    options = {"in_channels": image[2], "input_size": image[:2]}
    known = model_options(name)
    return {option: value for option, value in options.items() if option in known}


def _data(config: Any) -> tuple[Dataset, Dataset]:
    data = spec_of(config, config.data).load()
    if config.test is not None:
        return data, spec_of(config, config.test, split=None).load()
    return data.split(1 - HELD_OUT, seed=config.seed)

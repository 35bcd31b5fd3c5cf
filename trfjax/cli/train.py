"""`trfjax train`."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

from trfjax.data.dataset import Dataset
from trfjax.models import list_models, model_options
from trfjax.state import ModelCard
from trfjax.studies.outputs import claimed
from trfjax.studies.runs import MODEL
from trfjax.studies.sources import Training, make_room, train_source
from trfjax.studies.specs import spec_of
from trfjax.training.recipe import Recipe

HELD_OUT = 0.1  # share of the images, of other scenes, when no test set is named


def run(config: Any) -> int:
    """Train a network into a run folder."""
    if config.model not in list_models():
        raise ValueError(
            f"--model: unknown {config.model!r}; available: {', '.join(list_models())}"
        )
    training = _training(config)
    inputs = [] if config.root is None else [config.root]
    with claimed(config.out, "train", inputs=inputs) as folder:
        make_room(folder, training, resume=config.resume, overwrite=config.overwrite)
        print(
            f"{training.data.name}: {len(training.data)} images to train, "
            f"{len(training.test)} to test"
        )
        found = train_source(
            folder,
            training,
            resume=config.resume,
            checkpoint_every=config.checkpoint_every,
        )
    show(found.evaluation)
    print(
        f"{found.trained.card.name}: {found.seconds:.0f} s, saved as {folder / MODEL}\n"
        f"rank it: trfjax rank --sources {folder} ... --target DATA",
        file=sys.stderr,
    )
    return 0


def show(evaluation: dict[str, Any]) -> None:
    """Print what a network does on images it has not seen."""
    for name, found in evaluation["classes"].items():
        iou = found["iou"]
        print(f"  {name:16} IoU {'-' if iou is None else format(iou, '.3f')}")
    print(
        f"mIoU {evaluation['miou']:.3f}, accuracy {evaluation['accuracy']:.3f}, "
        f"log-likelihood {evaluation['log_likelihood']:.3f} on {evaluation['images']} "
        "images"
    )


def _training(config: Any) -> Training:
    """Return what the options ask for."""
    recipe = Recipe(steps=config.steps, batch_size=config.batch_size, seed=config.seed)
    if config.learning_rate is not None:
        recipe = dataclasses.replace(recipe, learning_rate=config.learning_rate)
    data, test = _data(config)
    image = data[0]["image"].shape
    card = ModelCard(
        name=config.name or Path(config.out).name,
        architecture=config.model,
        config={
            "num_classes": data.num_classes,
            "width": config.width,
            **_input_options(config.model, image),
        },
        class_names=data.class_names,
        input_size=config.size,
        **_grey(image[2]),
        ignore=data.ignore,
        trained_on=data.name,
    )
    return Training(
        card=card,
        data=data,
        test=test,
        recipe=recipe,
        spec=spec_of(config, config.data).absolute(),
        options=config,
    )


def _grey(channels: int) -> dict[str, Any]:
    """Return the normalisation of images without colours: none."""
    if channels == 3:
        return {}
    return {"mean": (0.0,) * channels, "std": (1.0,) * channels}


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

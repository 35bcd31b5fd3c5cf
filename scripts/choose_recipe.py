"""Where the default recipe of `finetune` comes from: cities that nothing else reports.

python scripts/choose_recipe.py --out runs/recipe

Networks of four made-up cities learn 20 images of a fifth with every learning rate and
number of steps. Transfer happens where fine-tuned networks beat the same network from
scratch and the source as it is, and where seeds agree on the order of the sources.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import time
from pathlib import Path

import numpy as np
import tyro

from trfjax.data import Dataset, load_dataset
from trfjax.files import write_text
from trfjax.state import ModelCard, TrainedModel
from trfjax.statistics.reliability import reliability
from trfjax.studies.finetuning import fresh
from trfjax.studies.sources import Training, train_source
from trfjax.training.evaluate import Evaluation, evaluate
from trfjax.training.recipe import Recipe
from trfjax.transfer.empirical import empirical_transferability
from trfjax.transfer.start import FINETUNE

COLUMNS = (
    "learning rate",
    "steps",
    "accuracy",
    "mIoU",
    "spread of seeds",
    "seeds agree, accuracy",
    "seeds agree, mIoU",
    "better than scratch",
    "better than as it is",
)


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the study."""

    out: str = "runs/recipe"  # networks and the table are kept here
    sources: tuple[str, ...] = ("bruma", "elster", "fennick", "hollin")
    target: str = "jorvale"  # snow
    learning_rates: tuple[float, ...] = (5e-4, 1e-3, 2e-3)
    steps: tuple[int, ...] = (60, 120)
    seeds: tuple[int, ...] = (0, 1)  # of the shots and of fine-tuning
    shots: int = 20
    size: tuple[int, int] = (48, 96)
    width: int = 8
    source_steps: int = 250


def main(config: Config) -> None:
    """Train the sources, fine-tune with every recipe, write the table."""
    folder = Path(config.out)
    pool, test = city(config.target, 1, 60, config), city(config.target, 2, 40, config)
    sources = [trained_source(name, folder, config) for name in config.sources]
    plain = np.array([measures(evaluate(s.model, s.card, test)) for s in sources])
    print(f"as it is: accuracy {plain[:, 0]}, mIoU {plain[:, 1]}", flush=True)
    # From scratch with the rate that sources are trained with: the best of the steps.
    new = fresh(sources[0], seed=0)
    scratch = np.max(
        [
            measured(new, pool, test, Recipe(steps=steps), config).mean(axis=0)
            for steps in config.steps
        ],
        axis=0,
    )
    print(f"scratch: accuracy {scratch[0]:.4f}, mIoU {scratch[1]:.4f}", flush=True)
    rows = []
    for steps, rate in itertools.product(config.steps, config.learning_rates):
        started = time.perf_counter()
        recipe = dataclasses.replace(FINETUNE, steps=steps, learning_rate=rate)
        values = np.array([measured(s, pool, test, recipe, config) for s in sources])
        rows.append([rate, steps, *summary(values, scratch, plain)])
        print(*(f"{value:.4g}" for value in rows[-1]), end="  ")
        print(f"{time.perf_counter() - started:.0f} s", flush=True)
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([COLUMNS, *rows])
    write_text(folder / "recipes.csv", stream.getvalue())


def summary(values: np.ndarray, scratch: np.ndarray, plain: np.ndarray) -> list[float]:
    """Say what came of `values` (sources, seeds, 2): accuracy and mIoU."""
    mean = values.mean(axis=1)
    return [
        *mean.mean(axis=0),
        float(np.sqrt(values[..., 0].var(axis=1, ddof=1).mean())),
        reliability(values[..., 0]),
        reliability(values[..., 1]),
        int((mean[:, 1] > scratch[1]).sum()),  # sources, by mIoU
        int((mean[:, 1] > plain[:, 1]).sum()),
    ]


def measured(
    source: TrainedModel, pool: Dataset, test: Dataset, recipe: Recipe, config: Config
) -> np.ndarray:
    """Return accuracy and mIoU of every seed; a seed draws shots and batches."""
    runs = [
        empirical_transferability(
            source,
            pool,
            test,
            shots=config.shots,
            seeds=(seed,),
            optimisation_seeds=(seed,),
            recipe=recipe,
        )
        for seed in config.seeds
    ]
    return np.array([measures(run.evaluations[0][0]) for run in runs])


def measures(evaluation: Evaluation) -> tuple[float, float]:
    """Return accuracy and mIoU."""
    return evaluation.accuracy, evaluation.miou


def trained_source(name: str, folder: Path, config: Config) -> TrainedModel:
    """Train the network of a city, or read it back."""
    data = city(name, 0, 80, config)
    card = ModelCard(
        name=name,
        architecture="unet",
        config={"num_classes": data.num_classes, "width": config.width},
        class_names=data.class_names,
        input_size=config.size,
        ignore=data.ignore,
        trained_on=data.name,
    )
    part, held_out = data.split(0.9, seed=0)
    training = Training(
        card=card,
        data=part,
        test=held_out,
        recipe=Recipe(steps=config.source_steps),
    )
    found = train_source(folder / "sources" / name, training, progress=False)
    miou = found.evaluation["miou"]
    print(f"{name}: mIoU {miou:.3f} on held-out images of its own", flush=True)
    return found.trained


def city(name: str, seed: int, count: int, config: Config) -> Dataset:
    """Make images of a city."""
    return load_dataset(
        f"synthetic:{name}", size=config.size, count=count, seed=seed, cache=500
    )


if __name__ == "__main__":
    main(tyro.cli(Config))

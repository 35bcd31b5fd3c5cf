"""Few-shot digits and characters: scratch, vanilla and OTCE-guided fine-tuning.

python scripts/few_shot_digits.py --root ../shared/data
python scripts/few_shot_digits.py --task usps --ablation --episodes 50
python scripts/few_shot_digits.py --tuning --seed 1000  # where the settings come from

Published figures: Tan, Li and Huang, "Transferability-Guided Cross-Domain Cross-Task
Transfer Learning", 2022.

Sources and rows are kept; a second call with the same options reads them back.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro

from trfjax.data import Dataset, load_dataset
from trfjax.episodes.bulk import BulkResult, fine_tune_episodes
from trfjax.episodes.draw import Episodes, draw_episodes
from trfjax.files import digest, write_text
from trfjax.reporting.episodes import as_csv, draw, line, timing_line
from trfjax.state import ModelCard, TrainedModel
from trfjax.store import Made, Store
from trfjax.studies.digits import SOURCE, TASKS, Name, Task, methods
from trfjax.studies.episodes import time_episodes
from trfjax.studies.sources import Training, train_source

SHOTS, SIZE = 5, (28, 28)


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the study."""

    task: Literal["all"] | Name = "all"
    root: str = "../shared/data"  # folder that holds mnist, usps and omniglot
    out: str = "runs/few-shot-digits"  # tables and figures are kept here
    episodes: int = 100
    seed: int = 0  # of the episodes and of fine-tuning
    source_seed: int = 0  # of the source network
    ablation: bool = False  # further rows: what each part of the guide does
    tuning: bool = False  # on the classes that the settings were chosen on
    methods: tuple[str, ...] = ()  # rows, by name; all by default
    width: int = 64  # of Conv-4, as published; narrower is faster
    separate: int = 0  # episodes that are also run in programs of their own, timed


def main(config: Config) -> None:
    """Train the sources, run the episodes, compare."""
    chosen = TASKS if config.task == "all" else {config.task: TASKS[config.task]}
    for name, task in chosen.items():
        if task.network == "conv4":
            title = f"{task.title} of width {config.width}"
            task = dataclasses.replace(
                task, title=title, config={"width": config.width}
            )
        study(name, task, config, Path(config.out))


def study(name: str, task: Task, config: Config, out: Path) -> None:
    """Run one task by every method; print and keep what came out."""
    digits, classes = task.tuning if config.tuning else task.classes
    data = load_dataset(
        "mnist", Path(config.root) / "mnist", classes=digits, cache=10_000
    )
    source = trained_source(task, data, config.source_seed, out / "sources")
    pool, episodes = target(name, task, classes, config)
    print(
        f"\n{task.title}{': TUNING classes' * config.tuning}, {len(episodes)} episodes"
    )
    found: dict[str, BulkResult] = {}
    rows = methods(task, config.ablation or bool(config.methods))
    for method in config.methods or tuple(rows):
        key = {
            "task": name,
            "method": method,
            "card": dataclasses.asdict(source.card),
            "data": data.fingerprint,
            "pool": pool.fingerprint,
            "episodes": digest(episodes.support, episodes.query),
            "seed": config.seed,
            "source_seed": config.source_seed,
            "source": SOURCE.to_dict(),
            "settings": repr([rows[method].get(p) for p in ("recipe", "guide")]),
        }

        def work(options: dict[str, Any] = rows[method]) -> Made:
            result = run(source, data, pool, episodes, config.seed, options)
            return Made(arrays=as_arrays(result))

        record = Store(out / "rows").keep(key, work)
        found[method] = of_arrays(record.arrays)
        row = line(method, found, task.published)
        print(f"  {row}  {record.seconds:5.0f} s", flush=True)
    if "vanilla" in found:
        write_text(out / f"{name}.csv", as_csv(task.title, task.published, found))
        draw(out / f"{name}.png", task.title, task.published, found)
    if config.separate:
        taken = time_episodes(source, pool, episodes, task.vanilla, config.separate)
        print(timing_line(taken))


def as_arrays(result: BulkResult) -> dict[str, np.ndarray]:
    """Return what one method came to as arrays by name."""
    parts = {f.name: getattr(result, f.name) for f in dataclasses.fields(result)}
    course = parts.pop("alignment")
    return parts | {f"alignment/{name}": v for name, v in course.items()}


def of_arrays(arrays: dict[str, np.ndarray]) -> BulkResult:
    """Return what `as_arrays` was given."""
    course = {
        name.removeprefix("alignment/"): arrays.pop(name)
        for name in sorted(arrays)
        if name.startswith("alignment/")
    }
    return BulkResult(**arrays, alignment=course)


def trained_source(task: Task, data: Dataset, seed: int, folder: Path) -> TrainedModel:
    """Train the source network, or read it back; a tenth of the images tests it."""
    config = {"num_classes": data.num_classes, **task.config}
    card = ModelCard(
        name=f"{task.network} on {data.name}",
        architecture=task.network,
        config=config,
        class_names=data.class_names,
        input_size=SIZE,
        mean=(0.0,),
        std=(1.0,),
    )
    part, rest = data.split(0.9)
    recipe = dataclasses.replace(SOURCE, seed=seed)
    training = Training(card=card, data=part, test=rest, recipe=recipe)
    place = folder / f"{task.network} {digest(training.key)[:8]}"
    found = train_source(place, training, progress=False)
    accuracy = found.evaluation["accuracy"]
    print(f"\n{card.name}: accuracy {accuracy:.4f} on {len(rest)}")
    return found.trained


def target(
    name: str, task: Task, classes: tuple[str, ...], config: Config
) -> tuple[Dataset, Episodes]:
    """Open the target and draw its episodes.

    USPS: shots of the training part, queries of the test part. Omniglot: any image
    may be either; strokes are made bright, as in MNIST.
    """
    options: dict[str, Any] = {"size": SIZE, "cache": 10_000}
    kind = name.split("-")[0]
    root = Path(config.root) / kind
    tested = None
    if kind == "usps":
        pool = load_dataset("usps", root, classes=classes, **options)
        tested = np.flatnonzero([i.startswith("test/") for i in pool.image_ids])
    else:
        pool = load_dataset("omniglot", root, domain=classes, **options)
        pool = pool.map(lambda image, label: (255 - image, label), tag="bright")
    episodes = draw_episodes(
        np.array([int(example["label"]) for example in pool]),
        count=config.episodes,
        ways=task.ways,
        shots=SHOTS,
        queries=task.queries,
        query_from=tested,
        seed=config.seed,
    )
    return pool, episodes


def run(
    source: TrainedModel,
    data: Dataset,
    pool: Dataset,
    episodes: Episodes,
    seed: int,
    options: dict[str, Any],
) -> BulkResult:
    """Fine-tune on all episodes by one method."""
    options = options | {
        "recipe": dataclasses.replace(options["recipe"], seed=seed),
        "source_data": data if "guide" in options else None,
    }
    return fine_tune_episodes(source, pool, episodes, progress=True, **options)


if __name__ == "__main__":
    main(tyro.cli(Config))

"""Few-shot transfer on real images: scratch, head, full, guided and weighted.

python scripts/few_shot_segmentation.py --study camvid --root ../shared/data
python scripts/few_shot_segmentation.py --study pacs --root ../shared/data
python scripts/few_shot_segmentation.py --study tuning  # pairs that are not reported

CamVid: 20 images of the dark sequence, from a network of a day sequence, tested on the
other half of the dark one. PACS: 5 images of every class of another style, tested on
the rest. Every run is kept; a second call with the same options reads it back.
"""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from trfjax.data import Dataset
from trfjax.files import atomic_path, write_text
from trfjax.reporting.methods import Found, Rows, describe, draw, line, table
from trfjax.state import ModelCard, TrainedModel
from trfjax.store import Made, Store
from trfjax.studies.few_shot import PAIRS, Pair, Setup, Study
from trfjax.studies.finetuning import fresh
from trfjax.studies.sources import SourceRun, Training, train_source
from trfjax.training.evaluate import evaluate
from trfjax.transfer.empirical import MEASURES
from trfjax.transfer.finetune import FinetuneResult, finetune
from trfjax.transfer.guide import default_guide
from trfjax.transfer.guided import GuidedResult, guided_finetune
from trfjax.transfer.start import FINETUNE
from trfjax.transfer.weighted import weighted_finetune

# Methods that run only where they are named.
VARIANTS: dict[str, dict[str, Any]] = {
    "as published": {"task_weight": 0.0, "source_weight": 0.0},
    "relative": {"relative_epsilon": True},
    "probs": {"features": "probs"},
    "both": {"task_weight": 1.0, "source_weight": 1.0},
    "frozen": {"batch_norm": "frozen"},
    "gentle": {"learning_rate": 2e-4},
}


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the study."""

    study: Study = "camvid"
    root: str = "../shared/data"  # folder that holds camvid and pacs
    out: str = "runs/few-shot"  # networks, runs, tables and figures are kept here
    seeds: int = 5  # of the shots and of fine-tuning
    first: int = 0  # the first seed
    methods: tuple[str, ...] = ()  # all of the study by default
    pairs: tuple[str, ...] = ()  # all of the study by default
    learning_rate: float = FINETUNE.learning_rate
    steps: int = FINETUNE.steps
    width: int = 12  # base width of the networks
    source_steps: int = 250


@dataclasses.dataclass(frozen=True, kw_only=True)
class Images:
    """The network and the images that the methods of one seed share."""

    source: TrainedModel
    shots: Dataset
    test: Dataset
    seed: int


def main(config: Config) -> None:
    """Train the sources, fine-tune with every method and seed, compare."""
    folder = Path(config.out) / config.study
    setup = Setup(
        root=config.root, width=config.width, source_steps=config.source_steps
    )
    pairs = [
        pair
        for pair in PAIRS[config.study](setup)
        if pair.name in config.pairs or not config.pairs
    ]
    seeds = range(config.first, config.first + config.seeds)
    found: Found = {}
    for pair in pairs:
        found[pair.name] = compare(pair, seeds, config, folder)
    write_text(folder / "results.csv", table(found))
    with atomic_path(folder / "results.png") as temporary:
        shown = "accuracy" if config.study.startswith("pacs") else "miou"
        draw(found, shown).savefig(temporary, format="png", dpi=150)


def compare(pair: Pair, seeds: range, config: Config, folder: Path) -> Rows:
    """Run every method with every seed on one pair, and print what came out."""
    found = trained_source(pair, folder)
    source, store = found.trained, Store(folder / "runs")
    pool, test = pair.pool(), pair.test and pair.test()
    plain = evaluate(source.model, source.card, test or pool)
    print(f"\n{pair.name}: the source as it is {line(plain.to_dict())}", flush=True)
    options = methods(config, pool)
    names = config.methods or tuple(options)
    rows: Rows = {name: [] for name in names}
    for seed in seeds:
        images = draw_images(pair, found, pool, test, seed)
        for name in names:
            key = {
                "source": found.key,
                "pair": pair.name,
                "method": name,
                "options": repr(options[name]),
                "shots": images.shots.fingerprint,
                "test": images.test.fingerprint,
                "recipe": repr(FINETUNE),
                "steps": config.steps,
                "learning_rate": config.learning_rate,
                "seed": seed,
            }
            work = functools.partial(measure, pair, name, options[name], images, config)
            record = store.keep(key, work)
            rows[name].append(record.value | {"seconds": record.seconds})
            print(f"  {seed:3} {name:18} {line(record.value)}", flush=True)
    for name in names:
        print(f"  {name:18} {describe(rows, name)}", flush=True)
    return rows


def methods(config: Config, pool: Dataset) -> dict[str, dict[str, Any]]:
    """Return the options of every method, by name."""
    maps = np.ndim(pool[0]["label"]) > 0
    guide = default_guide(pool)
    rows: dict[str, dict[str, Any]] = {
        "scratch": {},
        "head": {"mode": "head"},
        "full": {},
        "longer": {"steps": config.steps + guide.steps},
        "guided": {"guide": guide},
    }
    if maps:
        rows["weighted"] = {}
    return rows | {
        f"guided {name}": {"guide": dataclasses.replace(guide, **change)}
        for name, change in VARIANTS.items()
        if any(f"guided {name}" == wanted for wanted in config.methods)
    }


def run(
    pair: Pair, kind: str, options: dict[str, Any], images: Images, config: Config
) -> FinetuneResult:
    """Fine-tune by one method; all methods of a seed see the same shots."""
    source, seed = images.source, images.seed
    recipe = dataclasses.replace(
        FINETUNE, steps=config.steps, learning_rate=config.learning_rate, seed=seed
    )
    if kind == "scratch":  # a rate for fine-tuning would be too low
        recipe = dataclasses.replace(recipe, learning_rate=pair.recipe.learning_rate)
        source = fresh(source, seed)
    if "steps" in options:
        options = dict(options)
        recipe = dataclasses.replace(recipe, steps=options.pop("steps"))
    common: dict[str, Any] = {"test": images.test, "recipe": recipe, **options}
    if kind == "guided":
        return guided_finetune(source, pair.source(), images.shots, **common)
    if kind == "weighted":
        return weighted_finetune(source, images.shots, **common)
    return finetune(source, images.shots, **common)


def measure(
    pair: Pair, name: str, options: dict[str, Any], images: Images, config: Config
) -> Made:
    """Return what one run came to."""
    result = run(pair, name.split()[0], options, images, config)
    assert result.evaluation is not None  # there is a test set
    value: dict[str, Any] = {
        **{measure: getattr(result.evaluation, measure) for measure in MEASURES},
        "evaluation": result.evaluation.to_dict(),
        "losses": result.curves["loss"],
    }
    if isinstance(result, GuidedResult):
        value["alignment"] = result.alignment
        value["source_accuracy"] = list(result.source_accuracy)
        value["stopped"] = result.stopped
        aligned = evaluate(result.aligned.model, result.aligned.card, images.test)
        value["aligned"] = {m: getattr(aligned, m) for m in MEASURES}
    return Made(value=value)


def draw_images(
    pair: Pair, found: SourceRun, pool: Dataset, test: Dataset | None, seed: int
) -> Images:
    """Draw the shots of a seed; without a test set, what is left tests."""
    chosen = pair.draw(pool, seed)
    rest = test or pool.select(np.setdiff1d(np.arange(len(pool)), chosen))
    return Images(source=found.trained, shots=pool.select(chosen), test=rest, seed=seed)


def trained_source(pair: Pair, folder: Path) -> SourceRun:
    """Train the network of a pair, or read it back."""
    data = pair.source()
    card = ModelCard(
        name=pair.name.split(" to ")[0],
        architecture=pair.card["architecture"],
        config={"num_classes": data.num_classes, **pair.card["config"]},
        class_names=data.class_names,
        input_size=pair.card["input_size"],
        ignore=data.ignore,
        trained_on=data.name,
    )
    part, held_out = data.split(0.9, seed=0)
    training = Training(card=card, data=part, test=held_out, recipe=pair.recipe)
    found = train_source(folder / "sources" / card.name, training, progress=False)
    print(f"{card.name}: on its own held-out {line(found.evaluation)}")
    return found


if __name__ == "__main__":
    main(tyro.cli(Config))

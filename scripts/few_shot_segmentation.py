"""Few-shot transfer on real images: scratch, head, full, guided and weighted.

python scripts/few_shot_segmentation.py --study camvid --root ../shared/data
python scripts/few_shot_segmentation.py --study pacs --root ../shared/data
python scripts/few_shot_segmentation.py --study tuning  # pairs that are not reported

CamVid: 20 images of the dark sequence, from a network of a day sequence, tested on the
other half of the dark one. PACS: 5 images of every class of another style, tested on
the rest. Every run is kept; a second call with the same options reads it back.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro
from matplotlib.figure import Figure

from trfjax.data import Dataset, load_dataset
from trfjax.files import atomic_path, write_text
from trfjax.state import ModelCard, TrainedModel
from trfjax.statistics.interval import Interval, mean_interval, paired_interval
from trfjax.store import Made, Store
from trfjax.studies.finetuning import fresh
from trfjax.studies.sources import SourceRun, Training, train_source
from trfjax.training.augment import Augment
from trfjax.training.evaluate import evaluate
from trfjax.training.recipe import Recipe
from trfjax.transfer.finetune import FinetuneResult, finetune
from trfjax.transfer.guide import default_guide
from trfjax.transfer.guided import GuidedResult, guided_finetune
from trfjax.transfer.start import FINETUNE
from trfjax.transfer.weighted import weighted_finetune

Study = Literal["camvid", "pacs", "tuning", "pacs-tuning"]
Rows = dict[str, list[dict[str, Any]]]  # by method, one record a seed
Found = dict[str, Rows]  # by pair
MEASURES = ("miou", "accuracy", "log_likelihood")
# Methods that run only where they are named.
VARIANTS: dict[str, dict[str, Any]] = {
    "as published": {"task_weight": 0.0, "source_weight": 0.0},
    "relative": {"relative_epsilon": True},
    "probs": {"features": "probs"},
    "both": {"task_weight": 1.0, "source_weight": 1.0},
    "frozen": {"batch_norm": "frozen"},
    "gentle": {"learning_rate": 2e-4},
}
AUGMENT = Augment(flip=0.5, scale=0.25, brightness=0.2, contrast=0.2, saturation=0.2)


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


@dataclasses.dataclass(frozen=True)
class Pair:
    """A source and a target."""

    name: str
    source: Callable[[], Dataset]
    pool: Callable[[], Dataset]
    test: Callable[[], Dataset] | None  # None: what is left of the pool
    card: dict[str, Any]  # architecture, config and input size
    recipe: Recipe  # of the source
    draw: Callable[[Dataset, int], np.ndarray]  # positions of the shots


@dataclasses.dataclass(frozen=True, kw_only=True)
class Images:
    """What the methods of one seed share."""

    source: TrainedModel
    shots: Dataset
    test: Dataset
    seed: int


def main(config: Config) -> None:
    """Train the sources, fine-tune with every method and seed, compare."""
    folder = Path(config.out) / config.study
    pairs = [
        pair
        for pair in PAIRS[config.study](config)
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


def line(evaluation: dict[str, Any]) -> str:
    """Return the three measures."""
    return ", ".join(f"{m} {evaluation[m]:.3f}" for m in MEASURES)


def interval(runs: list[dict[str, Any]], measure: str) -> Interval:
    """Return mean and 95 % interval over seeds, in per cent or nats."""
    return mean_interval(_values(runs, measure))


def gain(runs: list[dict[str, Any]], other: list[dict[str, Any]], m: str) -> Interval:
    """Return the difference to another method, paired by seed."""
    return paired_interval(_values(runs, m), _values(other, m))


def baseline(found: Rows, name: str) -> str:
    """Return what a method is compared with; "" for nothing.

    Guided methods make as many updates as "longer", full fine-tuning by more steps.
    """
    wanted = ("longer", "full") if name.startswith("guided") else ("full",)
    return next((other for other in wanted if other in found and other != name), "")


def _values(runs: list[dict[str, Any]], measure: str) -> np.ndarray:
    scale = 1 if measure == "log_likelihood" else 100
    return scale * np.array([run[measure] for run in runs])


def describe(found: Rows, name: str) -> str:
    """Return one line of the printed table."""
    runs, other = found[name], baseline(found, name)
    parts = [f"{m} {interval(runs, m)}" for m in MEASURES]
    if other:
        parts += [f"{m} - {other} {gain(runs, found[other], m)}" for m in MEASURES]
    return "; ".join(parts) + f"; {np.mean([run['seconds'] for run in runs]):.0f} s"


def table(found: Found) -> str:
    """Return one line per pair, method and measure."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    columns = ["pair", "method", "measure", "runs", "mean", "low", "high"]
    writer.writerow([*columns, "against", "gain", "gain_low", "gain_high"])
    for pair, rows in found.items():
        for name, runs in rows.items():
            for measure in MEASURES:
                own, other = interval(runs, measure), baseline(rows, name)
                row = [pair, name, measure, own.count, own.value, own.low, own.high]
                if other:
                    found_gain = gain(runs, rows[other], measure)
                    row += [other, found_gain.value, found_gain.low, found_gain.high]
                writer.writerow(row)
    return stream.getvalue()


def draw(found: Found, measure: str) -> Figure:
    """Draw a measure of every method with its interval, one panel a pair."""
    figure = Figure(figsize=(4.2 * len(found), 3.2), layout="constrained")
    axes = figure.subplots(1, len(found), squeeze=False)[0]
    for ax, (pair, rows) in zip(axes, found.items(), strict=True):
        for place, (name, runs) in enumerate(rows.items()):
            own = interval(runs, measure)
            color = "#0b63a5" if name.startswith("guided") else "#7b8794"
            ax.bar(place, own.value, color=color, width=0.7)
            ax.plot([place, place], [own.low, own.high], color="#1f2933", lw=1.4)
        ax.set_xticks(range(len(rows)), list(rows), rotation=30, ha="right", fontsize=8)
        ax.set_title(pair, fontsize=9, loc="left")
        ax.set_ylabel(f"{measure} (%), bar: 95 % interval", fontsize=8)
        ax.spines[["top", "right"]].set_visible(False)
    return figure


def spread_shots(count: int) -> Callable[[Dataset, int], np.ndarray]:
    """Return a draw of images, as `Dataset.shots` makes it."""

    def draw(pool: Dataset, seed: int) -> np.ndarray:
        return np.sort(np.random.default_rng(seed).permutation(len(pool))[:count])

    return draw


def shots_by_class(count: int) -> Callable[[Dataset, int], np.ndarray]:
    """Return a draw of as many images of every class."""

    def draw(pool: Dataset, seed: int) -> np.ndarray:
        labels = np.array([int(example["label"]) for example in pool])
        rng = np.random.default_rng(seed)
        rows = [
            rng.permutation(np.flatnonzero(labels == c))[:count] for c in set(labels)
        ]
        return np.sort(np.concatenate(rows))

    return draw


def _camvid(config: Config) -> list[Pair]:
    def data(name: str) -> Callable[[], Dataset]:
        root = Path(config.root) / "camvid"
        return lambda: load_dataset(f"camvid:{name}", root, size=(96, 128), cache=500)

    recipe = Recipe(steps=config.source_steps)
    return [
        Pair(
            name=f"{day} to 0001TP",
            source=data(day),
            pool=data("0001TP[:0.5]"),
            test=data("0001TP[0.5:]"),
            card=_unet(config.width, (96, 128)),
            recipe=recipe,
            draw=spread_shots(20),
        )
        for day in ("Seq05VD", "0006R0")
    ]


def _unet(width: int, size: tuple[int, int]) -> dict[str, Any]:
    return {"architecture": "unet", "config": {"width": width}, "input_size": size}


def _tuning(config: Config) -> list[Pair]:
    def city(name: str, seed: int, count: int) -> Callable[[], Dataset]:
        return lambda: load_dataset(
            f"synthetic:{name}", size=(64, 128), count=count, seed=seed, cache=500
        )

    return [
        Pair(
            name=f"{one} to {other}",
            source=city(one, 0, 80),
            pool=city(other, 1, 60),
            test=city(other, 2, 40),
            card=_unet(8, (64, 128)),
            recipe=Recipe(steps=config.source_steps),
            draw=spread_shots(20),
        )
        for one, other in (("arden", "delmira"), ("bruma", "lumeo"))
    ]


def _pacs(pairs: tuple[tuple[str, str], ...]) -> Callable[[Config], list[Pair]]:
    def make(config: Config) -> list[Pair]:
        def style(name: str) -> Callable[[], Dataset]:
            root = Path(config.root) / "pacs"
            return lambda: load_dataset(f"pacs:{name}", root, size=(64, 64), cache=500)

        recipe = Recipe(
            steps=2 * config.source_steps,
            batch_size=32,
            learning_rate=5e-3,
            augment=AUGMENT,
        )
        return [
            Pair(
                name=f"{one} to {other}",
                source=style(one),
                pool=style(other),
                test=None,
                card={
                    "architecture": "resnet18",
                    "config": {"width": 16},
                    "input_size": (64, 64),
                },
                recipe=recipe,
                draw=shots_by_class(5),
            )
            for one, other in pairs
        ]

    return make


PAIRS: dict[str, Callable[[Config], list[Pair]]] = {
    "camvid": _camvid,
    "tuning": _tuning,
    "pacs": _pacs((("photo", "sketch"), ("art_painting", "cartoon"))),
    "pacs-tuning": _pacs((("photo", "cartoon"), ("sketch", "art_painting"))),
}


if __name__ == "__main__":
    main(tyro.cli(Config))

"""How often the verdict of a ranking is right.

python scripts/calibrate_verdict.py --page docs/calibration.md

A few tiny U-Nets are trained on made-up cities and see 2,000 images of another one;
the pixels of every image by predicted and given class are kept. Pools of few images are
drawn from these; the truth is the score on all of them.
"""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from trfjax.data import load_dataset
from trfjax.data.dataset import Dataset
from trfjax.models import create_model
from trfjax.ranking.cell import Cell
from trfjax.ranking.floor import judged
from trfjax.ranking.verdict import pool_of, verdict_of
from trfjax.reporting.tables import markdown
from trfjax.scores import SCORES
from trfjax.scores.nce import nce_of_counts
from trfjax.state import ModelCard, TrainedModel, apply
from trfjax.statistics.resamples import Resamples
from trfjax.training.recipe import Recipe
from trfjax.training.train import train

CITIES = ("arden", "corvale", "delmira", "galden", "ilmar")
TARGET = "kestry"
TASKS = ("segmentation", "classification")
KINDS = ("useless", "equal", "known order")
BINS = (0, 0.1, 0.3, 0.5, 0.7, 0.9, 1)


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the calibration."""

    bank: str = "runs/verdict.npz"  # kept here, made when it is not there
    page: str | None = None  # the tables are written here too
    images: int = 2_000  # of the target
    pools: int = 200
    shots: tuple[int, ...] = (5, 10, 20, 70)
    size: tuple[int, int] = (32, 64)
    steps: int = 120
    seed: int = 0


@dataclasses.dataclass
class Count:
    """Counts over the pools of one kind, task and number of images."""

    judged: int = 0  # pools whose images show two classes
    clear: int = 0
    false: int = 0
    none_informative: int = 0
    covered: int = 0
    chances: list[tuple[float, bool]] = dataclasses.field(default_factory=list)


def main(config: Config) -> None:
    """Make or read the bank, draw the pools, print the tables."""
    bank = Path(config.bank)
    if not bank.exists():
        bank.parent.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, Any] = make_bank(config)
        np.savez_compressed(bank, **arrays)
    with np.load(bank, allow_pickle=False) as found:
        tables = {task: found[task].astype(np.float64) for task in TASKS}
    counts = {}
    for task, kind, shots in itertools.product(TASKS, KINDS, config.shots):
        rng = np.random.default_rng([config.seed, TASKS.index(task), shots])
        counts[task, kind, shots] = found = Count()
        for _ in range(config.pools):
            judge_pool(found, *draw_pool(kind, tables[task], shots, rng), kind)
    text = written(config, tables, counts)
    print(text)
    if config.page is not None:
        Path(config.page).write_text(text + "\n", encoding="utf-8")


def make_bank(config: Config) -> dict[str, np.ndarray]:
    """Return pixels by source, image, predicted and given class, for both tasks.

    A classification is the pixel in the middle of each image: one instance an image.
    """
    target = load_dataset(
        f"synthetic:{TARGET}", count=config.images, size=config.size, seed=1
    )
    networks = [_trained(city, config) for city in CITIES]
    classes = target.num_classes
    shape = (len(networks), len(target), classes, classes)
    tables = {task: np.zeros(shape, np.uint16) for task in TASKS}
    run = jax.jit(lambda model, x: jnp.argmax(apply(model, x).logits, axis=-1))
    card = networks[0].card
    mean, std = np.array(card.mean), np.array(card.std)
    for start in range(0, len(target), 50):
        batch = [target[i] for i in range(start, min(start + 50, len(target)))]
        pixels = np.stack([example["image"] for example in batch]) / 255
        seen = jnp.asarray((pixels - mean) / std, jnp.float32)
        labels = np.stack([example["label"] for example in batch])
        for s, network in enumerate(networks):
            predicted = np.asarray(run(network.model, seen))
            for i in range(len(batch)):
                middle = labels.shape[1] * 2 // 3, labels.shape[2] // 2
                parts = {
                    "segmentation": (predicted[i], labels[i]),
                    "classification": (predicted[i][middle], labels[i][middle]),
                }
                for task, (z, y) in parts.items():
                    known = np.asarray(y) != target.ignore
                    where = np.asarray(z)[known], np.asarray(y)[known]
                    np.add.at(tables[task][s, start + i], where, 1)
    return tables


def _trained(city: str, config: Config) -> TrainedModel:
    data: Dataset = load_dataset(f"synthetic:{city}", count=40, size=config.size)
    settings: dict[str, Any] = {"num_classes": data.num_classes, "width": 4}
    card = ModelCard(
        name=city,
        architecture="unet",
        config=settings,
        class_names=data.class_names,
        input_size=config.size,
        ignore=data.ignore,
        trained_on=data.name,
    )
    model = create_model("unet", **settings)
    recipe = Recipe(steps=config.steps)
    return train(model, data, card=card, recipe=recipe, progress=False).trained


def draw_pool(
    kind: str, tables: np.ndarray, shots: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return tables of three sources on a few images, and their true scores.

    Useless sources predict what they would for other images at other pixels. Of equal
    ones, each image shows by the toss of a coin which of two networks is which; the
    third is a worse one.
    """
    images = rng.choice(tables.shape[1], shots, replace=False)
    truth = nce_of_tables(tables.sum(axis=1))
    chosen = rng.choice(len(tables), 3, replace=False)
    if kind == "known order":
        return tables[chosen][:, images], truth[chosen]
    if kind == "useless":
        elsewhere = rng.permuted(np.tile(np.arange(tables.shape[1]), (3, 1)), axis=1)
        given = tables[0].sum(axis=1)[images]  # (n, y)
        parts = []
        for source, other in zip(chosen, elsewhere, strict=True):
            seen = tables[source, other[images]].sum(axis=2)  # (n, z)
            if given.sum(axis=1).max() > 1:  # pixels elsewhere: independent
                seen = seen / seen.sum(axis=1, keepdims=True)
            parts.append(seen[:, :, None] * given[:, None, :])
        return np.array(parts), np.zeros(3)
    order = np.argsort(truth[chosen])
    worse, *pair = chosen[order]
    coin = rng.integers(0, 2, shots)
    twins = [tables[np.where(coin == side, *pair), images] for side in (0, 1)]
    equal = nce_of_tables(tables[pair].sum(axis=(0, 1))[None])[0]
    return np.array([*twins, tables[worse, images]]), np.array(
        [equal, equal, truth[worse]]
    )


def nce_of_tables(tables: np.ndarray) -> np.ndarray:
    """Return the NCE of each table, `(s, z, y)`."""
    return np.array([nce_of_counts(t[None], np.ones((1, 1)))[0] for t in tables])


def judge_pool(found: Count, tables: np.ndarray, truth: np.ndarray, kind: str) -> None:
    """Judge one pool as `rank` would, and count what came of it."""
    shots, rows = tables.shape[1], Resamples.draw(tables.shape[1], 1, seed=0)
    given = tables[0].sum(axis=1)
    if shots < 2 or (given.sum(axis=0) > 0).sum() < 2:
        return
    found.judged += 1
    cells = []
    for name, table in enumerate(tables):
        values = nce_of_counts(table, np.vstack([np.ones(shots), rows.rows[1:]]))
        score = {"score": float(values[0]), "left_out": tuple(values[1:])}
        against = judged(SCORES["nce"], score, given, rows)
        cells.append(Cell(str(name), TARGET, "nce", **score, **against))
    cells.sort(key=lambda cell: (-cell.estimate, -cell.score))
    verdict, order = verdict_of(cells), [int(cell.source) for cell in cells]
    wrong = kind != "known order" or truth[order[0]] < truth.max()
    found.clear += verdict.kind == "clear lead"
    found.false += verdict.kind == "clear lead" and wrong
    found.none_informative += verdict.kind == "none informative"
    apart = verdict.difference
    if apart is not None:
        true = truth[order[0]] - truth[order[1]]
        found.covered += apart.low - 1e-9 <= true <= apart.high + 1e-9
    pool = pool_of(cells)
    if kind == "known order" and pool is not None:
        best = [truth[i] == truth.max() for i in order]
        found.chances += zip(pool.probability_first().tolist(), best, strict=True)


def written(
    config: Config,
    tables: dict[str, np.ndarray],
    counts: dict[tuple[str, str, int], Count],
) -> str:
    """Return the page."""
    rows = [
        [
            task,
            kind,
            shots,
            c.judged,
            *(
                f"{100 * value / max(c.judged, 1):.1f}"
                for value in (c.clear, c.false, c.none_informative, c.covered)
            ),
        ]
        for (task, kind, shots), c in counts.items()
    ]
    head = [
        "task",
        "sources",
        "images",
        "judged",
        "clear lead",
        "false",
        "none informative",
        "interval covers",
    ]
    truths = {task: nce_of_tables(tables[task].sum(axis=1)) for task in TASKS}
    columns = [f"{task}, {n} images" for task in TASKS for n in config.shots]
    lines = [
        "# How often the verdict is right",
        "",
        f"Percent of {config.pools} pools of three sources each: U-Nets of width 4, "
        f"trained for {config.steps} steps on one of {len(CITIES)}",
        "made-up cities. The target is another city. The score is NCE, the truth "
        f"that of {config.images:,} images. A clear lead",
        "is false where the leader is not the best by that truth, and always between "
        "useless or equal sources. A classification is one",
        "pixel of every image. Pools whose images show a single class are not judged, "
        "as `rank` refuses them.",
        "Made by `scripts/calibrate_verdict.py`.",
        "",
        *(f"True NCE, {task}: {_named(truths[task])}." for task in TASKS),
        "",
        markdown(head, rows),
        "",
        "P(best) against how often that source was the best, in the pools of known "
        "order:",
        "",
        markdown(["P(best)", *columns], _reliability(config, counts)),
    ]
    return "\n".join(lines)


def _named(values: np.ndarray) -> str:
    return ", ".join(f"{c} {v:.3f}" for c, v in zip(CITIES, values, strict=True))


def _reliability(
    config: Config, counts: dict[tuple[str, str, int], Count]
) -> list[list[str]]:
    rows = []
    for low, high in itertools.pairwise(BINS):
        row = [f"{low:.0%} to {high:.0%}"]
        for task, shots in itertools.product(TASKS, config.shots):
            pairs = np.array(counts[task, "known order", shots].chances).reshape(-1, 2)
            p, best = pairs.T
            inside = (p >= low) & ((p < high) | (high == 1))
            said, seen = p[inside].mean() if inside.any() else 0, best[inside]
            row.append(
                f"{said:.0%}: {seen.mean():.0%} of {len(seen)}" if len(seen) else "–"
            )
        rows.append(row)
    return rows


if __name__ == "__main__":
    main(tyro.cli(Config))

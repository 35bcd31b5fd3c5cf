"""How wrong OTCE on atoms is, next to the error it reports and to that of draws.

    python benchmarks/quantisation.py --folders runs/arden runs/corvale --out table.csv

A case is a population of pixels a side whose entropic plan is solved whole: its W_T is
the truth. Reported are the errors of the atoms alone, of the atoms with their
correction, the `effect` (which should bound it), and the standard error of the
published way, K = 10 draws of N = 10,000. That is measured on draws of `--draw` pixels
and scaled by the square root of their number.

The made-up families have the same noise in every direction, what atoms are worst
at: `probs` are softmax(class means + 2 x noise) at epsilon 0.1, `rows` those logits
themselves at a tenth of the mean cost. `--folders` are run folders of `trfjax train`:
every network sees its own images and the city `--target`.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import platform
import time
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from trfjax.atoms.compress import compress
from trfjax.data import load_dataset
from trfjax.features.extract import extract
from trfjax.files import write_text
from trfjax.scores.otce.atoms import otce_atoms
from trfjax.studies.runs import open_model, training_data
from trfjax.transport.conditional import entropy_given_rows
from trfjax.transport.joint import couple, couple_many
from trfjax.transport.problem import Problem, Settings

CLASSES = 19
TIGHT = Settings(tolerance=1e-4, joint_tolerance=1e-5, dense_limit=500_000_000)


@dataclasses.dataclass(frozen=True)
class Config:
    """What to measure."""

    folders: tuple[Path, ...] = ()
    target: str = "synthetic:kestry"
    population: int = 8_000  # pixels a side
    seeds: int = 3  # of every made-up family
    draw: int = 1_000
    draws: int = 8
    out: Path | None = None


@dataclasses.dataclass(frozen=True)
class Case:
    """Labelled features of both sides."""

    name: str
    source: tuple[np.ndarray, np.ndarray]
    target: tuple[np.ndarray, np.ndarray]
    space: Any
    relative: bool


def main(config: Config) -> None:
    warnings.simplefilter("ignore")
    print(platform.processor() or platform.machine(), os.cpu_count(), "cores,", end=" ")
    print("jax", jax.__version__, "numpy", np.__version__, "trfjax", version("trfjax"))
    rows: list[dict[str, Any]] = []
    for case in itertools.chain(trained(config), made_up(config)):
        rows.append(measured(case, config))
        print("  ".join(f"{k} {v:.5g}" if isinstance(v, float) else str(v)
                        for k, v in rows[-1].items()), flush=True)  # fmt: skip
        if config.out:
            lines = [",".join(rows[0]), *(",".join(map(str, r.values())) for r in rows)]
            write_text(config.out, "\n".join(lines) + "\n")
    within = [abs(row["error"]) <= row["effect"] for row in rows]
    better = [abs(row["error"]) <= row["draws"] for row in rows]
    print(f"{len(rows)} cases: error within the effect in {sum(within)}, below the "
          f"standard error of the draws in {sum(better)}")  # fmt: skip


def made_up(config: Config) -> Iterator[Case]:
    """Yield noisy probabilities and noisy rows."""
    widths = {"probs": (2, 5, 19, 40), "rows": (5, 19, 40, 128, 512)}
    for seed in range(config.seeds):
        for kind, d in ((kind, d) for kind, some in widths.items() for d in some):
            first, second = noisy(d, config.population, seed)
            if kind == "probs":
                first, second = (
                    (np.asarray(jax.nn.softmax(jnp.asarray(x))), y)
                    for x, y in (first, second)
                )
            space = "probs" if kind == "probs" else "penultimate"
            yield Case(f"{kind} d={d}", first, second, space, kind == "rows")


def noisy(d: int, count: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return class means and noise; the target's classes are those of the source."""
    rng = np.random.default_rng([d, seed])
    means = rng.normal(size=(CLASSES, d)) * 1.5
    moved = means[rng.permutation(CLASSES)] + 0.5 * rng.normal(size=means.shape)
    sides = []
    for middle in (means, moved):
        labels = rng.choice(CLASSES, count, p=rng.dirichlet(np.ones(CLASSES)))
        rows = middle[labels] + 2 * rng.normal(size=(count, d))
        sides.append((rows.astype(np.float32), labels))
    return sides


def trained(config: Config) -> Iterator[Case]:
    """Yield what trained networks say of their own city and of the target."""
    spaces = ("probs", "logits", "penultimate")
    for folder in config.folders:
        model = open_model(folder)
        size = model.card.input_size
        spec = training_data(folder)
        if spec is None:
            raise ValueError(f"--folders: {folder} does not say what it was trained on")
        other = load_dataset(config.target, size=size, count=20)
        sides = [
            extract(
                model, data, spaces=spaces, pixels=config.population, progress=False
            )
            for data in (spec.load(), other)
        ]
        columns = {space: [side.space(space) for side in sides] for space in spaces}
        joined = ("logits", "penultimate")
        columns["together"] = [
            np.concatenate([side.space(s) for s in joined], axis=1) for side in sides
        ]
        for space, (first, second) in columns.items():
            for relative in (True,) if space != "probs" else (False, True):
                yield Case(
                    f"{folder.name} {space} d={first.shape[1]}"
                    + (" relative" if relative else ""),
                    (first, sides[0].labels), (second, sides[1].labels),
                    space if space in spaces else "penultimate", relative,
                )  # fmt: skip


def measured(case: Case, config: Config) -> dict[str, Any]:
    """Return truth and errors of one case."""
    sets = [
        compress(x, y, num_classes=int(y.max()) + 1)
        for x, y in (case.source, case.target)
    ]
    started = time.process_time()
    found = otce_atoms(
        *sets, epsilon=0.1, relative_epsilon=case.relative, feature_space=case.space
    )
    seconds = time.process_time() - started
    quantised, epsilon = found.quantisation, float(found.epsilon)
    assert quantised is not None
    truth = whole(case, epsilon)
    return {
        "case": case.name,
        "truth": truth,
        "atoms": float(quantised.atoms_task_difference) - truth,
        "error": float(found.task_difference) - truth,
        "effect": float(quantised.effect),
        "draws": spread_of_draws(case, epsilon, config),
        "scatter": float(quantised.scatter) / epsilon,
        "cpu_seconds": seconds,
    }


def problem(first: Any, second: Any, sizes: tuple[int, int]) -> Problem:
    (x, ys), (y, yt) = first, second
    weights = [jnp.full(len(z), 1 / len(z), jnp.float32) for z in (x, y)]
    labels = [jax.nn.one_hot(ids, c) for ids, c in zip((ys, yt), sizes, strict=True)]
    return Problem(
        source=jnp.asarray(x),
        target=jnp.asarray(y),
        source_weights=weights[0],
        target_weights=weights[1],
        source_labels=labels[0],
        target_labels=labels[1],
    )


def sizes_of(case: Case) -> tuple[int, int]:
    return int(case.source[1].max()) + 1, int(case.target[1].max()) + 1


def whole(case: Case, epsilon: float) -> float:
    """Return W_T of all pixels, each a point of its own."""
    found = couple(
        problem(case.source, case.target, sizes_of(case)),
        epsilon=epsilon, settings=TIGHT,
    )  # fmt: skip
    return float(entropy_given_rows(found.joint / found.joint.sum()))


def spread_of_draws(case: Case, epsilon: float, config: Config) -> float:
    """Return the standard error of K = 10 draws of N = 10,000."""
    rng, drawn = np.random.default_rng(0), []
    for _ in range(config.draws):
        sides = []
        for x, y in (case.source, case.target):
            rows = rng.choice(len(y), config.draw, replace=False)
            sides.append((x[rows], y[rows]))
        drawn.append(problem(sides[0], sides[1], sizes_of(case)))
    batch = jax.tree.map(lambda *parts: jnp.stack(parts), *drawn)
    found = couple_many(batch, epsilon=epsilon, settings=Settings())
    joint = found.joint / found.joint.sum(axis=(1, 2), keepdims=True)
    values = np.asarray(jax.vmap(entropy_given_rows)(joint))
    return float(values.std(ddof=1) * np.sqrt(config.draw / 100_000))


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))

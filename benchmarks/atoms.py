"""OTCE on every pixel: how exact atoms are, how fast, and what intervals cover.

    python benchmarks/atoms.py speed
    python benchmarks/atoms.py accuracy --folders runs/demo runs/camvid --root ../data
    python benchmarks/atoms.py coverage --folders runs/demo --out coverage.csv

`--folders` are those of `trfjax demo` and `scripts/rank_real.py`: their trained
networks are used, and the data these were trained on. Every network of a folder is
paired with the data of the others, and with `--targets`.

accuracy: W_T of M atoms against the exact entropic value of the same pixels, a
population of `--population` a side that is solved whole. Beside it the standard error
of the published way, K = 10 draws of N = 10,000 of all pixels, and how far the atoms of
all pixels lie from the mean of those draws.

speed: 20 images of 512 x 1024 a side, 19 probabilities, M = 512.

coverage: how often the interval of a score from 20 images of a synthetic city holds the
value of the whole city (`--images` of it), for the bootstrap over images and for draws
of pixels (K = 10 draws of N = 10,000 pixels of those images, drawn from their atoms).
"""

from __future__ import annotations

import dataclasses
import itertools
import resource
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from scipy.stats import t as student

from trfjax.atoms.atoms import Atoms
from trfjax.atoms.compress import Compressor, compress
from trfjax.data import load_dataset
from trfjax.data.dataset import Dataset
from trfjax.features.extract import extract
from trfjax.features.extract_all import extract_all
from trfjax.files import write_text
from trfjax.scores import SCORES
from trfjax.scores.hscore_sums import h_score_of_moments
from trfjax.scores.leep import leep_of_atoms
from trfjax.scores.logme_sums import logme_of_moments
from trfjax.scores.nce import nce_of_counts
from trfjax.scores.otce.atoms import otce_atoms
from trfjax.scores.otce.atoms_replicates import otce_atoms_replicates
from trfjax.scores.otce.otce import otce
from trfjax.scores.otce.quantisation import problem_of
from trfjax.statistics.interval import image_interval
from trfjax.statistics.resamples import Resamples
from trfjax.studies.runs import open_model
from trfjax.transport.conditional import entropy_given_rows
from trfjax.transport.joint import couple
from trfjax.transport.problem import Problem, Settings
from trfjax.transport.resampled import couple_resampled

TIGHT = Settings(tolerance=1e-4, joint_tolerance=1e-5, dense_limit=500_000_000)


@dataclasses.dataclass(frozen=True)
class Config:
    """What to measure."""

    study: tyro.conf.Positional[Literal["accuracy", "speed", "coverage"]]
    folders: tuple[Path, ...] = ()
    targets: tuple[str, ...] = ()
    root: str | None = None
    pairs: int = 24  # at most, evenly over the folders
    population: int = 20_000
    images: int = 400
    repetitions: int = 200
    shots: int = 20
    replicates: int = 200
    epsilon: float = 0.1
    out: Path | None = None


def main(config: Config) -> None:
    warnings.simplefilter("ignore")
    study = {"accuracy": accuracy, "speed": speed, "coverage": coverage}[config.study]
    rows: list[dict[str, Any]] = []
    for row in study(config):
        rows.append(row)
        print("  ".join(f"{k} {shown(v)}" for k, v in row.items()), flush=True)
        if config.out:
            lines = [",".join(row), *(",".join(map(str, r.values())) for r in rows)]
            write_text(config.out, "\n".join(lines) + "\n")


def shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


# --- trained networks and their data ------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Known:
    """A trained network and the images it knows."""

    name: str
    model: Any
    data: Dataset


def networks(config: Config, folder: Path) -> list[Known]:
    """Return the networks of a folder of `trfjax demo` or `rank_real.py`."""
    found = []
    for place in sorted((folder / "sources").iterdir()):
        model = open_model(place)
        found.append(Known(place.name, model, data_of(config, model.card)))
    return found


def data_of(config: Config, card: Any, name: str | None = None) -> Dataset:
    """Return data as a network takes it; what it was trained on by default."""
    name = name or str(card.trained_on)
    options: dict[str, Any] = {"size": card.input_size}
    if name.startswith("synthetic"):
        options["count"] = 40
    else:
        options["root"] = Path(config.root or ".") / name.split(":")[0]
        options |= {"labels": "common6"} if len(card.class_names) == 6 else {}
    return load_dataset(name, **options)


def pairs_of(config: Config) -> list[tuple[str, Known, Dataset]]:
    """Return pairs of a network and the target images it is scored on."""
    chosen = []
    for folder in config.folders:
        known = networks(config, folder)
        pairs = [(a, b.data) for a, b in itertools.permutations(known, 2)]
        kind = str(known[0].model.card.trained_on).split(":")[0]
        named = [name for name in config.targets if name.startswith(kind)]
        pairs += [(a, data_of(config, a.model.card, n)) for a in known for n in named]
        share = -(-config.pairs // len(config.folders))
        steps = np.linspace(0, len(pairs) - 1, min(share, len(pairs))).astype(int)
        chosen += [(folder.name, *pairs[i]) for i in steps]
    return [
        (name, known, data.shots(min(config.shots, len(data)), seed=0))
        for name, known, data in chosen
    ]


# --- accuracy -----------------------------------------------------------------------


def accuracy(config: Config) -> Iterator[dict[str, Any]]:
    """Compare atoms with the exact value and with draws, pair by pair."""
    for folder, known, target in pairs_of(config):
        sides = [
            extract(known.model, data, pixels=2_000_000, progress=False)
            for data in (known.data, target)
        ]
        rng = np.random.default_rng(0)
        parts = []
        for side in sides:
            count = min(config.population, len(side))
            index = np.sort(rng.choice(len(side), count, replace=False))
            parts.append(
                (side.space("probs")[index], side.labels[index], side.image[index])
            )
        classes = [len(side.class_names) for side in sides]
        row: dict[str, Any] = {
            "folder": folder, "source": known.name, "target": target.name,
            "pixels_source": len(sides[0]), "pixels_target": len(sides[1]),
        }  # fmt: skip
        exact = whole(parts, classes, config.epsilon)
        row["exact"] = exact
        for count in (256, 512, 1024):
            atoms = [
                compress(x, y, image=i, atoms=count, num_classes=c)
                for (x, y, i), c in zip(parts, classes, strict=True)
            ]
            row[f"error_{count}"] = entropy(problem_of(*atoms), config.epsilon) - exact
        left, right = sides
        drawn = otce(
            left.space("probs"), left.labels, right.space("probs"), right.labels,
            key=0, epsilon=config.epsilon,
        )  # fmt: skip
        row["standard_error"] = float(drawn.standard_error)
        everything = [
            compress(s.space("probs"), s.labels, image=s.image, num_classes=c)
            for s, c in zip(sides, classes, strict=True)
        ]
        found = otce_atoms(*everything, epsilon=config.epsilon)
        assert found.quantisation is not None
        row["all_pixels"] = float(found.task_difference)
        row["draws"] = float(drawn.task_difference)
        row["effect"] = float(found.quantisation.effect)
        yield row


def whole(parts: Any, classes: list[int], epsilon: float) -> float:
    """Return W_T of all the pixels given, each a point of its own."""
    (x, ys, _), (y, yt, _) = parts
    weights = [jnp.full(len(z), 1 / len(z), jnp.float32) for z in (x, y)]
    labels = [jax.nn.one_hot(ids, c) for ids, c in zip((ys, yt), classes, strict=True)]
    problem = Problem(jnp.asarray(x), jnp.asarray(y), *weights, *labels)
    return entropy(problem, epsilon)


def entropy(problem: Problem, epsilon: float) -> float:
    found = couple(problem, epsilon=epsilon, settings=TIGHT)
    return float(entropy_given_rows(found.joint / found.joint.sum()))


# --- speed --------------------------------------------------------------------------


def maps(seed: int, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield smooth random maps of 19 probabilities and labels that go with them."""
    centres = np.random.default_rng(0).normal(size=(19, 19)) * 2
    for i in range(count):
        rng = np.random.default_rng([seed, i])
        coarse = rng.normal(size=(16, 32, 19)) @ centres / 4
        logits = jax.image.resize(jnp.asarray(coarse), (512, 1024, 19), "linear")
        logits += 0.3 * jax.random.normal(jax.random.key(i), logits.shape)
        labels = np.asarray(jnp.argmax(logits, -1)).reshape(-1)
        yield np.asarray(jax.nn.softmax(logits)).reshape(-1, 19), labels


def speed(config: Config) -> Iterator[dict[str, Any]]:
    """Time compression, score, replicates and a sweep, next to draws of pixels."""
    atoms: list[Atoms] = []
    for side in (0, 1):
        held, seconds = Compressor(config.shots, 19), 0.0
        for i, (features, labels) in enumerate(maps(side, config.shots)):
            start = time.perf_counter()
            held.add(features, labels, str(i))
            seconds += time.perf_counter() - start
        start = time.perf_counter()
        atoms.append(held.finish())
        seconds += time.perf_counter() - start
        yield {"step": "compress", "seconds": seconds, "pixels": atoms[-1].pixels}
    rows = Resamples.draw(config.shots, 200, seed=0).rows[:200]
    source, target = atoms
    timed = {
        "score": lambda: otce_atoms(source, target),
        "200 replicates": lambda: otce_atoms_replicates(source, target, rows),
        "sweep 20 x 21": lambda: [otce_atoms(source, target) for _ in range(420)],
    }
    for name, run in timed.items():
        first = None
        for _ in range(1 if name.startswith("sweep") else 2):
            start = time.perf_counter()
            run()
            seconds = time.perf_counter() - start
            first = seconds if first is None else first
        yield {"step": name, "seconds": seconds, "first": first}
    yield {"step": "peak memory GB", "seconds": memory()}
    (x, ys), (y, yt) = (next(maps(side, 1)) for side in (0, 1))
    for name in ("compile", "K = 10 draws of N = 10,000"):
        start = time.perf_counter()
        otce(x, ys, y, yt, key=0)
        yield {"step": name, "seconds": time.perf_counter() - start}


def memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def scores_of(joint: Any) -> np.ndarray:
    joint = joint / joint.sum(axis=(1, 2), keepdims=True)
    return -np.asarray(jax.vmap(entropy_given_rows)(joint), np.float64)


# --- coverage -----------------------------------------------------------------------


def coverage(config: Config) -> Iterator[dict[str, Any]]:
    """Count how often intervals hold the value of the whole city."""
    known = networks(config, config.folders[0])
    for source, city in ((known[0], known[1]), (known[2], known[0])):
        yield from covered(config, source, str(city.model.card.trained_on))


def covered(config: Config, source: Known, city: str) -> Iterator[dict[str, Any]]:
    size = source.model.card.input_size
    pool = load_dataset(city, size=size, count=config.images, seed=77)
    own = extract_all(source.model, source.data, atoms={"probs": 512}, progress=False)
    target = extract_all(
        source.model, pool, atoms={"probs": 512}, moments=("penultimate",),
        progress=False,
    )  # fmt: skip
    atoms, sums = target.space("probs"), target.space("penultimate", "moments")
    ours = own.space("probs")
    scores = {
        "otce": lambda rows: otce_atoms_replicates(
            ours, atoms, rows, epsilon=config.epsilon
        ),
        "leep": lambda rows: leep_of_atoms(atoms, rows),
        "nce": lambda rows: nce_of_counts(target.predictions, rows),
        "h_score": lambda rows: h_score_of_moments(sums, rows),
        "logme": lambda rows: logme_of_moments(sums, rows),
    }
    truth = {n: float(f(np.ones((1, len(pool)), "f4"))[0]) for n, f in scores.items()}
    inside: dict[tuple[str, str], list[tuple[bool, float]]] = {}
    for repetition in range(config.repetitions):
        rng = np.random.default_rng(repetition)
        chosen = rng.choice(len(pool), config.shots, replace=False)
        within = Resamples.draw(config.shots, config.replicates, seed=repetition)
        rows = np.zeros((len(within.rows) + 1, len(pool)), np.float32)
        rows[0, chosen], rows[1:, chosen] = 1, within.rows
        for name, score in scores.items():
            value, *rest = score(rows)
            split = within.split(np.array(rest))
            for method in ("percentile", "bca", "jackknife"):
                ends = image_interval(
                    value, split["replicates"], split["left_out"],
                    method=method, smooth=SCORES[name].smooth,
                ).ends  # fmt: skip
                note(inside, (name, method), ends, truth[name])
        ends = of_draws(ours, atoms.select(chosen), config.epsilon, rng)
        note(inside, ("otce", "pixel draws"), ends, truth["otce"])
    for (name, method), found in inside.items():
        share = float(np.mean([hit for hit, _ in found]))
        yield {
            "source": source.name, "city": city, "score": name, "interval": method,
            "truth": truth[name], "coverage": share, "repetitions": len(found),
            "width": float(np.median([width for _, width in found])),
        }  # fmt: skip


def note(inside: Any, key: Any, ends: tuple[float, float], truth: float) -> None:
    hit = ends[0] <= truth <= ends[1]
    inside.setdefault(key, []).append((hit, ends[1] - ends[0]))


def of_draws(
    source: Atoms, target: Atoms, epsilon: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Return the 90 % interval from K = 10 draws of N = 10,000 pixels a side."""
    drawn = []
    for side in (source, target):
        mass = side.histograms().astype(np.float64)
        counts = rng.multinomial(10_000, mass.reshape(-1) / mass.sum(), size=10)
        drawn.append((counts / 10_000).reshape(10, *mass.shape).astype(np.float32))
    found = couple_resampled(
        jnp.asarray(source.points), jnp.asarray(target.points),
        *map(jnp.asarray, drawn), epsilon=epsilon,
    )  # fmt: skip
    values = scores_of(found.joint)
    reach = student.ppf(0.95, 9) * values.std(ddof=1) / np.sqrt(10)
    return float(values.mean() - reach), float(values.mean() + reach)


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))

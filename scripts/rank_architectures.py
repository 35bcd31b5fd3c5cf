"""Rank six architectures, trained on one domain, for one target, and measure transfer.

python scripts/rank_architectures.py --out runs/six --sources runs/zoo
python scripts/rank_architectures.py --study camvid --root ../shared/data

Every network is trained, scored and fine-tuned in a process of its own, so that its
seconds and its peak memory are its own. Finished parts are read back.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import tyro

from trfjax.ranking.result import Ranking, read_ranking
from trfjax.reporting.tables import markdown
from trfjax.statistics.correlation import spearman
from trfjax.store import Made, Store
from trfjax.studies.processes import alone, peak_memory
from trfjax.studies.runs import MODEL
from trfjax.studies.specs import DataSpec
from trfjax.studies.zoo import train_entry
from trfjax.transfer.empirical import MEASURES
from trfjax.transfer.start import FINETUNE

# The source architectures of the transferability papers.
NETWORKS = ("fcn8s", "unet", "segnet", "pspnet", "frrn_a", "frrn_b")


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the study."""

    study: Literal["synthetic", "camvid"] = "synthetic"
    root: str = "../shared/data"  # folder that holds camvid
    out: str | None = None  # everything is kept here; runs/six-<study> by default
    sources: str | None = None  # trained networks, as train_zoo.py leaves them
    networks: tuple[str, ...] = NETWORKS
    shots: int = 20  # labelled target images
    pixels: int = 2_000  # N
    repeats: int = 5  # K
    bootstrap: int = 50  # resamples of the target images
    steps: int | None = None  # of training, instead of those of the recipes
    finetune_steps: int = 60
    seeds: int = 2  # draws of shots, and fine-tunings, of every network
    seed: int = 0


class Task(msgspec.Struct, kw_only=True):
    """The order for one network; plain values, handed to another process."""

    name: str
    trained: str  # folder of the network
    source: DataSpec
    target: DataSpec  # the shots are drawn from it
    test: DataSpec
    shots: int
    pixels: int
    repeats: int
    bootstrap: int
    steps: int
    seeds: int
    seed: int


def main(config: Config) -> None:
    """Train, rank, fine-tune, compare."""
    folder = Path(config.out or f"runs/six-{config.study}")
    parts: list[Ranking] = []
    facts: dict[str, dict[str, Any]] = {}
    for name in config.networks:
        trained = Path(config.sources or folder / "sources") / name
        task = _task(config, name, trained)
        made = train_entry(
            name, task.source, trained, seed=config.seed, steps=config.steps
        )
        store = Store(folder / name)
        key = {"made": made["key"], "task": msgspec.to_builtins(task)}
        place = store.folder / "ranking.json"
        work = functools.partial(ranking_of, task, place)
        ranked = store.keep(key, work, name="rank").value
        work = functools.partial(transfer_of, task)
        moved = store.keep(key, work, name="transfer").value
        parts.append(read_ranking(place))
        facts[name] = {"made": made, "ranked": ranked, "moved": moved}
        print(
            f"{name}: own mIoU {made['miou']:.3f}, ranked in {ranked['seconds']:.0f} s "
            f"and {ranked['memory']:.2f} GB, accuracy {moved['unchanged']:.3f} -> "
            f"{np.mean(moved['accuracy']):.3f} in {moved['seconds']:.0f} s",
            flush=True,
        )
    ranking = parts[0]
    for part in parts[1:]:
        ranking = ranking.merge(part)
    print(f"\n{ranking}\n\n{costs(ranking, facts)}\n\n{agreement(ranking, facts)}")


def _task(config: Config, name: str, trained: Path) -> Task:
    if config.study == "synthetic":

        def city(place: str, count: int, seed: int) -> DataSpec:
            return DataSpec(
                name=f"synthetic:{place}", count=count, size=(64, 128), seed=seed
            )

        source = city("arden", 100, config.seed)
        target, test = (city("kestry", 40, config.seed + i) for i in (0, 1000))
    else:
        root = str(Path(config.root) / "camvid")
        source, target, test = (
            DataSpec(name=f"camvid:{sequence}", root=root, size=(96, 128))
            for sequence in ("0016E5", "0001TP[:0.5]", "0001TP[0.5:]")
        )
    return Task(
        name=name,
        trained=str(trained),
        source=source,
        target=target,
        test=test,
        shots=config.shots,
        pixels=config.pixels,
        repeats=config.repeats,
        bootstrap=config.bootstrap,
        steps=config.finetune_steps,
        seeds=config.seeds,
        seed=config.seed,
    )


def ranking_of(task: Task, path: Path) -> Made:
    """Score one network in a process of its own."""
    return Made(value=alone(rank_one, task, path), files=(path.name,))


def transfer_of(task: Task) -> Made:
    """Fine-tune one network in a process of its own."""
    return Made(value=alone(transfer_one, task))


def rank_one(task: Task, path: Path) -> dict[str, Any]:
    """Score one network with every metric; the ranking of one goes to a file."""
    from trfjax.models.checkpoint import load_model
    from trfjax.ranking.rank import Source, rank

    trained = load_model(Path(task.trained) / MODEL)
    source = Source(task.name, trained, task.source.load())
    shots = task.target.load().shots(task.shots, seed=task.seed)
    started, worked = time.perf_counter(), time.process_time()
    ranking = rank(
        [source],
        shots,
        pixels=task.pixels,
        repeats=task.repeats,
        bootstrap=task.bootstrap,
        seed=task.seed,
        progress=False,
        strict=True,
    )
    facts = {
        "seconds": time.perf_counter() - started,
        "cpu": time.process_time() - worked,
        "memory": peak_memory(),
    }
    ranking.to_json(path)
    return facts


def transfer_one(task: Task) -> dict[str, Any]:
    """Fine-tune one network on draws of the shots and test it on other images."""
    from trfjax.models.checkpoint import load_model
    from trfjax.training.evaluate import evaluate
    from trfjax.transfer.empirical import empirical_transferability

    trained = load_model(Path(task.trained) / MODEL)
    started, worked = time.perf_counter(), time.process_time()
    test = task.test.load()
    found = empirical_transferability(
        trained,
        task.target.load(),
        test,
        shots=task.shots,
        seeds=range(task.seeds),
        recipe=dataclasses.replace(FINETUNE, steps=task.steps),
    )
    plain = evaluate(trained.model, trained.card, test)
    return {
        "unchanged": plain.accuracy,
        **{m: found.values(m).mean(axis=1).tolist() for m in MEASURES},
        "seconds": time.perf_counter() - started,
        "cpu": time.process_time() - worked,
        "memory": peak_memory(),
    }


def costs(ranking: Ranking, facts: dict[str, dict[str, Any]]) -> str:
    """Return one row per network, best first: scores, transfer, and what it cost."""
    scores = {
        m: {c.source: c.score for c in ranking.column(m)} for m in ranking.metrics
    }
    chances = ranking.probability_best()
    rows = []
    for cell in ranking.column():
        made, ranked, moved = (
            facts[cell.source][part] for part in ("made", "ranked", "moved")
        )
        row = [cell.source, made["miou"], *(scores[m][cell.source] for m in scores)]
        row += [f"{chances.get(cell.source, float('nan')):.2f}", moved["unchanged"]]
        row += [float(np.mean(moved[measure])) for measure in ("accuracy", "miou")]
        for spent in (ranked, moved):
            row += [f"{spent['seconds']:.0f}", f"{spent['cpu']:.0f}"]
            row += [f"{spent['memory']:.2f}"]
        rows.append(row)
    header = ["network", "own mIoU", *scores, "P(best)", "accuracy as it is"]
    header += ["accuracy fine-tuned", "mIoU fine-tuned", "rank s", "rank CPU s"]
    header += ["rank GB", "fine-tune s", "fine-tune CPU s", "fine-tune GB"]
    return markdown(header, rows)


def agreement(ranking: Ranking, facts: dict[str, dict[str, Any]]) -> str:
    """Return the Spearman correlation of every score with what was measured."""
    rows = []
    for metric in ranking.metrics:
        cells = ranking.column(metric)
        scores = np.array([cell.score for cell in cells])
        values = [
            np.array([np.mean(facts[c.source]["moved"][m]) for c in cells])
            for m in ("unchanged", *MEASURES)
        ]
        rows.append([metric, *(f"{float(spearman(scores, v)):+.2f}" for v in values)])
    return markdown(["Spearman with", "accuracy as it is", *MEASURES], rows)


if __name__ == "__main__":
    main(tyro.cli(Config))

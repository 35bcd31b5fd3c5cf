"""`trfjax rank`."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

from trfjax.cli import FAILED_CELLS
from trfjax.features.published import read_published
from trfjax.files import strict
from trfjax.maps.inputs import mapped_score
from trfjax.ranking.plan import check_metrics, pixels_of
from trfjax.ranking.rank import Ranking, SavedSource, rank
from trfjax.reporting.maps_page import maps_section
from trfjax.reporting.report import write_results
from trfjax.scores import score_named
from trfjax.studies.maps import map_source
from trfjax.studies.opening import Opened, Opening, open_sources
from trfjax.studies.outputs import claimed, unused
from trfjax.studies.runs import write_config
from trfjax.studies.specs import other_results, source_specs, spec_of

PUBLISHED = 200_000  # pixels read of each side of published features


def run(config: Any) -> int:
    """Rank sources and write tables, plot and report."""
    check_metrics(config.metrics)
    if config.maps is not None:
        mapped_score(config.maps, pixels=True)
    opened = _published(config) if config.published is not None else _opened(config)
    for note in opened.notes:
        print(f"warning: {note}", file=sys.stderr)
    results = other_results(config.sources)
    for path in results:
        print(f"left out: {path} holds results, not a network", file=sys.stderr)
    networks = [path for path in config.sources if Path(path) not in results]
    inputs = [*networks, *filter(None, (config.published, config.root))]
    with claimed(config.out, "rank", inputs=inputs) as folder:
        ranking = rank(
            opened.sources,
            opened.target,
            metrics=config.metrics,
            pixels=config.pixels,
            atoms=config.atoms,
            repeats=config.repeats,
            epsilon=config.epsilon,
            relative_epsilon=config.relative_epsilon,
            features=config.features,
            solver=config.solver,
            strategy=config.strategy,
            combine=config.combine,
            bootstrap=config.bootstrap,
            batch_size=config.batch_size,
            seed=config.seed,
            out=folder,
            cache=folder,
        )
        write_config(folder, config)
        maps = None if config.maps is None else _maps(config, opened)
        report = write_results(ranking, folder, maps=maps)
    show(ranking, config.format)
    print(f"report: {report}", file=sys.stderr)
    leader = ranking.verdict.leader
    if leader in opened.networks:
        command = next_command(config, opened.networks[leader])
        print(f"next: {command}", file=sys.stderr)
    failed = any(cell.status == "failed" for cell in ranking.cells)
    return FAILED_CELLS if failed else 0


def _maps(config: Any, opened: Opened) -> dict[str, Any]:
    """Return the section with the maps of every network."""
    networks, target = opened.on_images(
        "--maps: saved features are no maps; rank networks for them"
    )
    settings: dict[str, Any] = {"metric": config.maps, "epsilon": config.epsilon}
    settings |= {"seed": config.seed, "batch_size": config.batch_size}
    found = [map_source(one, target, **settings) for one in networks]
    return maps_section(found, target)


def next_command(config: Any, network: str) -> str:
    """Return the command that fine-tunes the leader on the images it was ranked on."""
    words = ["trfjax", "finetune", "--source", network, "--target", config.target]
    for name in ("root", "labels", "split", "shots"):
        if getattr(config, name) is not None:
            words += [f"--{name}", str(getattr(config, name))]
    if config.seed:
        words += ["--seeds", str(config.seed)]
    out = unused(Path(config.out).parent / "tuned")
    return shlex.join([*words, "--test", "cv", "--out", str(out)])


def show(ranking: Ranking, form: str) -> None:
    """Print a ranking."""
    if form == "csv":
        print(ranking.to_csv(), end="")
    elif form == "json":
        print(json.dumps(strict(ranking.records())))
    else:
        print(ranking)


def _opened(config: Any) -> Opened:
    """Return the sources and the target that were asked for."""
    if not config.sources:
        raise ValueError(
            "--sources: none given; name run folders of trfjax train, or a YAML list. "
            "To make one: trfjax train --data synthetic:arden --out runs/arden"
        )
    specs = source_specs(config.sources)
    scores = [*config.metrics, *([config.maps] if config.maps else [])]
    opening = Opening(
        target=spec_of(config, config.target, seed=config.seed),
        source_data=any(score_named(name).two_sided for name in scores),
        code=config.code,
    )
    return open_sources(specs, opening)


def _published(config: Any) -> Opened:
    """Return the features of a folder that others published."""
    if config.sources:
        raise ValueError(
            "--published: ranks the features in that folder; leave --sources out"
        )
    chosen = pixels_of(
        check_metrics(config.metrics),
        config.pixels,
        solver=config.solver,
        strategy=config.strategy,
    )
    # All pixels of a folder of maps would have to be in memory together.
    count = max(
        PUBLISHED if pixels == "all" else pixels * config.repeats
        for pixels in chosen.values()
    )
    found = read_published(
        config.published,
        config.city,
        pixels=count,
        seed=config.seed,
        strategy=config.strategy,
    )
    sources = [SavedSource(name, target, source) for name, source, target in found]
    return Opened(sources=list(sources), target=None, notes=())

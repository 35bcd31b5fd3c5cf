"""`trfjax select`."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

from trfjax.cli.sources import given
from trfjax.files import write_json
from trfjax.models.checkpoint import save_model
from trfjax.ranking.plan import check_metrics
from trfjax.ranking.rank import Source, rank
from trfjax.scores import score_named
from trfjax.state import TrainedModel
from trfjax.studies.opening import Opening, open_sources
from trfjax.studies.outputs import claimed
from trfjax.studies.runs import MODEL, write_config
from trfjax.studies.select.select import select
from trfjax.studies.specs import source_specs, spec_of
from trfjax.transfer.start import FINETUNE


def run(config: Any) -> int:
    """Race the sources; write the network and the table of the race."""
    if not config.sources:
        raise ValueError(
            "--sources: none given; name run folders of trfjax train, or a YAML list"
        )
    metrics = check_metrics(config.metrics)
    opening = Opening(
        target=spec_of(config, config.target, seed=config.seed),
        source_data=any(score_named(name).two_sided for name in metrics),
    )
    opened = open_sources(source_specs(config.sources), opening)
    for note in opened.notes:
        print(f"warning: {note}", file=sys.stderr)
    if opened.target is None:
        raise ValueError(
            "--sources: saved features cannot be fine-tuned; name networks"
        )
    networks = {source.name: _network(source) for source in opened.sources}
    options = given(config, "steps", "batch_size", "learning_rate")
    with claimed(config.out, "select", inputs=config.sources) as folder:
        scores = rank(
            opened.sources,
            opened.target,
            metrics=metrics,
            combine="ranks" if len(metrics) > 1 else None,
            bootstrap=0,
            seed=config.seed,
        )
        found = select(
            networks,
            opened.target,
            budget=config.budget,
            scores=scores,
            measured=config.measured,
            folds=config.folds,
            recipe=dataclasses.replace(FINETUNE, **options),
            sure=config.sure,
            out=folder,
            seed=config.seed,
        )
        save_model(folder / MODEL, found.trained)
        write_config(folder, config)
        write_json(folder / "selection.json", found.to_dict())
    print(found)
    print(f"network: {folder / MODEL}", file=sys.stderr)
    return 0


def _network(source: Any) -> TrainedModel:
    if isinstance(source, Source) and isinstance(source.model, TrainedModel):
        return source.model
    raise ValueError(
        f"--sources: {source.name} is no network of trfjax train, and only those are "
        "fine-tuned"
    )

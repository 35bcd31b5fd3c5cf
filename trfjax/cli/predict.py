"""`trfjax predict`."""

from __future__ import annotations

import functools
import json
import sys
from pathlib import Path
from typing import Any

from trfjax.cli import FAILED_CELLS
from trfjax.cli.sources import check_network
from trfjax.data.photographs import find_photographs
from trfjax.features.predict import sized
from trfjax.features.predictor import Predictor, as_predictor
from trfjax.files import strict
from trfjax.reporting.predictions import table, text, write_prediction, write_tables
from trfjax.studies.outputs import claimed
from trfjax.studies.predicting import Predicting, make_room, predict_photographs
from trfjax.studies.runs import open_model, write_config


def run(config: Any) -> int:
    """Predict photographs; write masks, overlays and a table."""
    check_network("--model", config.model, of="trfjax train or finetune")
    photographs, others = find_photographs(config.images, apart=config.out)
    if others:
        _say(
            f"warning: left out, since their format is not read: {len(others)} images "
            f"such as {others[0]}; convert them to PNG, JPEG, WebP, TIFF or BMP"
        )
    written = {
        "overlays": config.overlays,
        "probabilities": config.probabilities,
        "opacity": config.opacity,
    }
    predictor = _predictor(config)
    work = Predicting(
        predictor=predictor, written=written, batch_size=config.batch_size
    )
    names = predictor.class_names
    folders = [path for path in config.images if Path(path).is_dir()]
    with claimed(config.out, "predict", inputs=[*folders, config.model]) as folder:
        make_room(work, folder, overwrite=config.overwrite)
        write = functools.partial(write_prediction, **written)
        records = predict_photographs(work, photographs, folder, write)
        write_config(folder, config)
        write_tables(records, names, folder)
    _show(records, names, config.format)
    failed = [record for record in records if "error" in record]
    for record in failed:
        _say(f"left out: {record['error']}")
    _say(f"{len(records) - len(failed)} photographs: {folder}")
    return FAILED_CELLS if failed else 0


def _predictor(config: Any) -> Predictor:
    """Return the network at the size that is wanted."""
    predictor = sized(as_predictor(open_model(config.model)), config.size)
    channels = len(predictor.preprocessing.mean)
    if channels not in (1, 3):
        raise ValueError(
            f"--model: {predictor.name} looks at images of {channels} channels; a "
            "photograph has 3, or 1. Use trfjax.predict on arrays."
        )
    return predictor


def _show(records: list[dict[str, Any]], names: tuple[str, ...], form: str) -> None:
    if form == "csv":
        print(table(records, names), end="")
    elif form == "json":
        print(json.dumps(strict(records)))
    else:
        print(text(records, names))


def _say(text: str) -> None:
    print(text, file=sys.stderr)

"""`trfjax info`."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from trfjax.models import list_models
from trfjax.models.discriminators import DISCRIMINATORS, create_discriminator
from trfjax.models.info import ModelInfo, model_info
from trfjax.studies.runs import open_model


def run(config: Any) -> int:
    """Print what networks cost."""
    if config.model is not None:
        rows, refused = [_info(config.model, config)], {}
    else:
        rows, refused = _all(config)
    if config.format == "json":
        print(json.dumps([dataclasses.asdict(row) for row in rows]))
    elif config.model is None:
        _print_all(rows, refused, config)
    else:
        _print_one(rows[0])
    return 0


def _all(config: Any) -> tuple[list[ModelInfo], dict[str, str]]:
    """Return what every network costs, and why some do not take this input."""
    rows, refused = [], {}
    for name in tqdm(list_models(), desc="count", unit="network", disable=None):
        try:
            rows.append(_info(name, config))
        except ValueError as error:
            refused[name] = str(error)
    return rows, refused


def _info(name: str, config: Any) -> ModelInfo:
    if Path(name).exists():
        trained = open_model(name)
        return model_info(
            trained.model, trained.card.input_size, name=trained.card.name
        )
    if name in DISCRIMINATORS:
        judge = create_discriminator(name, config.classes)
        return model_info(judge, config.size, name=name)
    options = {} if config.width is None else {"width": config.width}
    return model_info(name, config.size, num_classes=config.classes, **options)


def _print_all(rows: list[ModelInfo], refused: dict[str, str], config: Any) -> None:
    height, width = config.size
    table = Table(title=f"{config.classes} classes, input {height} x {width}")
    for column in ("network", "parameters", "multiply-adds (G)", "last map", "stride"):
        table.add_column(column, justify="left" if column == "network" else "right")
    for row in rows:
        # The last map before the head, whatever a network calls it.
        tap = row.taps.get("features") or next(reversed(row.taps.values()), None)
        table.add_row(
            row.name,
            f"{row.parameters:,}",
            f"{row.multiply_adds / 1e9:,.1f}",
            "-" if tap is None else str(tap.channels),
            "-" if tap is None else str(tap.stride),
        )
    Console().print(table)
    for name, why in refused.items():
        print(f"{name}: {why}")


def _print_one(row: ModelInfo) -> None:
    height, width = row.input_size
    print(
        f"{row.name}: {row.parameters:,} parameters, "
        f"{row.multiply_adds / 1e9:,.2f} G multiply-adds at {height} x {width}"
    )
    for name, tap in row.taps.items():
        print(f"  {name:12} {tap.channels:5} channels, stride {tap.stride}")

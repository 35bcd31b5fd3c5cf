"""The options of `trfjax sweep`."""

from __future__ import annotations

from typing import Annotated, Literal

import tyro

from trfjax.cli.commands.kinds import (
    Name,
    Options,
)


class Sweep(Options):
    """Score many sources for many targets and measure every transfer, resumable.

    Attributes:
        file: YAML of sources, targets, scores, methods and seeds; see docs/sweep.md.
        out: folder for records, networks and tables; a second run goes on in it.
        engine: serial, or ray: cells as tasks of a Ray cluster that shares the folder.
        dry_run: say what would run and how long it takes, and stop.
        retry_failed: do cells again that failed before.
        format: how the result is printed.
    """

    file: Annotated[Name, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    out: Name = "runs/sweep"
    engine: Literal["serial", "ray"] = "serial"
    dry_run: bool = False
    retry_failed: bool = False
    format: Literal["table", "csv", "json"] = "table"

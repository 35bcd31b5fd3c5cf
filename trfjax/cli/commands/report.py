"""The options of `trfjax report`."""

from __future__ import annotations

from trfjax.cli.commands.kinds import (
    File,
    Name,
    Options,
)


class Report(Options):
    """Write the HTML report of a finished ranking again.

    Attributes:
        folder: folder of trfjax rank or trfjax demo.
        out: the file to write; report.html in that folder by default.
    """

    folder: Name = "runs/rank"
    out: File = None

"""The options of `trfjax report`."""

from __future__ import annotations

from trfjax.cli.commands.kinds import File, Options


class Report(Options):
    """Write the HTML report of a finished ranking again.

    Attributes:
        folder: folder of trfjax rank or trfjax demo.
        out: the file to write; report.html in that folder by default.
    """

    folder: str = "runs/rank"
    out: File = None

"""The options of `trfjax demo`."""

from __future__ import annotations

from trfjax.cli.commands.kinds import (
    Count,
    Folder,
    Options,
    Seed,
)


class Demo(Options):
    """The main job on embedded data: train sources, rank them, prove it.

    Attributes:
        out: folder for everything the demo makes; a second run reads it back.
            runs/demo by default, or runs/demo-quick.
        quick: three small sources, a few steps: whether all of it works, in a minute.
        seed: of every random choice.
        repeats: measurements of every fine-tuning, with different shots.
    """

    out: Folder = None
    quick: bool = False
    seed: Seed = 0
    repeats: Count = 2

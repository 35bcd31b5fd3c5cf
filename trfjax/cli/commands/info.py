"""The options of `trfjax info`."""

from __future__ import annotations

from typing import Literal

from trfjax.cli.commands.kinds import (
    Base,
    Classes,
    Options,
    Pair,
    Text,
)


class Info(Options):
    """List the networks and what they cost: parameters, multiply-adds, taps.

    Attributes:
        model: an architecture or a checkpoint; all architectures by default.
        size: height and width of the input.
        classes: number of classes.
        width: base width; the published one by default.
        format: how the result is printed.
    """

    model: Text = None
    size: Pair = (512, 1024)
    classes: Classes = 19
    width: Base = None
    format: Literal["table", "json"] = "table"

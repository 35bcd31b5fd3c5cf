"""What may be called after every step of training: writers of curves.

A callback is anything that takes the number of the step, from 1, and its loss; these
two are given as `on_step=` to `train` or `adapt`, as any function of yours can be.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from trfjax.errors import missing_extra


class Callback(Protocol):
    """What is called after each step."""

    def __call__(self, step: int, loss: float, /) -> Any:
        """Take the number of the step, from 1, and its loss."""
        ...


class CsvWriter:
    """Appends a line `step,loss` to a file after each step.

    Args:
        path: the file; a run that goes on appends to it.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self.path.exists():
            self.path.write_text("step,loss\n", encoding="utf-8")

    def __call__(self, step: int, loss: float, /) -> None:
        """Append a line."""
        with open(self.path, "a", encoding="utf-8") as opened:
            opened.write(f"{step},{loss:.8g}\n")


class TensorBoardWriter:
    """Writes the loss as a TensorBoard scalar (`tensorboard` extra).

    Args:
        folder: of the event files.
        tag: the name of the curve.

    Raises:
        ImportError: tensorboardX is not installed.
    """

    def __init__(self, folder: str | Path, *, tag: str = "loss") -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise missing_extra("TensorBoardWriter", "tensorboard") from error
        self._writer, self._tag = SummaryWriter(str(folder)), tag

    def __call__(self, step: int, loss: float, /) -> None:
        """Write one value."""
        self._writer.add_scalar(self._tag, loss, step)
